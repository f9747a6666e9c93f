import ArgumentParser
import StreamRouter

/// `--store` and what belongs to it.
struct StoreOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "'file': in the state directory, for one controller; or etcd's members.",
      valueName: "file|etcd://host:port,..."))
  var store = "file"
  @Option(help: "Tells installations in one etcd apart: keys are below /streamrouter/v1/NAME/.")
  var storePrefix = EtcdPlace.defaultInstallation
  @Option(
    help: ArgumentHelp("TLS to etcd: who signed its certificates, PEM.", valueName: "file"),
    completion: .file())
  var etcdCa: String?
  @Option(
    help: ArgumentHelp("TLS to etcd: the controller's certificate, PEM.", valueName: "file"),
    completion: .file())
  var etcdCert: String?
  @Option(
    help: ArgumentHelp("TLS to etcd: the key of --etcd-cert, PEM.", valueName: "file"), completion: .file())
  var etcdKey: String?

  /// Where the store is, as ``validate()`` found it good.
  var choice: StoreChoice { place.map { .etcd($0) } ?? .file }

  private var place: EtcdPlace? {
    let security = EtcdPlace.Security(authority: etcdCa, certificate: etcdCert, key: etcdKey)
    return EtcdPlace(store, installation: storePrefix, security: usesTLS ? security : nil)
  }

  private var usesTLS: Bool { etcdCa != nil || etcdCert != nil }

  func validate() throws {
    guard (etcdCert == nil) == (etcdKey == nil) else {
      throw ValidationError("--etcd-cert and --etcd-key go together")
    }
    guard store == "file" || place != nil else {
      throw ValidationError(
        "--store \(store), --store-prefix \(storePrefix): write file or etcd://HOST:PORT[,HOST:PORT...], and a prefix of letters, digits, - _ ."
      )
    }
    guard store != "file" || !usesTLS else {
      throw ValidationError("--etcd-ca and --etcd-cert belong to --store etcd://...")
    }
  }
}
