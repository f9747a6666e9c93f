public enum JitterStatsRoom {}
