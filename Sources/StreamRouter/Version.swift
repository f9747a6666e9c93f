/// Which StreamRouter this is.
public enum Version {
  /// As `streamrouter --version` and the metric `streamrouter_build_info` say it.
  public static let current = "0.1.0"
}
