/// Every limit of this room, in one place. One that is passed is an error that names it.
public enum IdentityLimits {
  /// Characters of a node's or an operator's name. The same number stands in `Limits.nameLength` of the room Topology,
  /// which this room must not import; a test compares the two.
  public static let nameLength = 32

  /// How long an authority lasts: ten years.
  public static let authorityLifetime = Duration.seconds(3652 * 86_400)
  /// How long a certificate lasts, unless told otherwise.
  public static let defaultLifetime = Duration.seconds(30 * 86_400)
  /// The shortest and the longest life of a certificate.
  public static let lifetime = Duration.seconds(3600)...Duration.seconds(365 * 86_400)
  /// By how much the clock of a peer may be behind the authority's.
  public static let clockSkew = Duration.seconds(300)

  /// The shortest and the longest life of a join token.
  public static let tokenLifetime = Duration.seconds(60)...Duration.seconds(86_400)
  /// Tokens that are valid at once.
  public static let tokens = 4096
  /// How long it is remembered that a token was used or expired, for the audit.
  public static let spentTokenMemory = Duration.seconds(86_400)
  /// Bytes of a token's secret.
  public static let secretBytes = 16
  /// Characters of a file or a line that is read as a token.
  public static let tokenTextBytes = 4096

  /// Certificates of one name that are valid at once. A node has two while it renews.
  public static let certificatesPerRole = 64
  /// Certificates that a peer may present. Only the first counts.
  public static let presentedCertificates = 8
  /// Bytes of one certificate or request.
  public static let encodedBytes = 16 << 10
  /// Bytes of a file of this room.
  public static let fileBytes = 64 << 20
}
