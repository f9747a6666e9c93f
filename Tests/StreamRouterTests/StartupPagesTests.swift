import Foundation
import Testing

@testable import StreamRouter

/// Which mappings are program code.
@Suite struct StartupPagesTests {
  @Test func onlyCodeOfFilesIsLetGo() {
    let maps = """
      5651018ac000-5651052fc000 r-xp 00000000 fe:00 5327459                    /usr/bin/streamrouter
      565105400000-565105500000 r--p 03a54000 fe:00 5327459                    /usr/bin/streamrouter
      7f1c9a4c7000-7f1c9a4dd000 r-xp 00005000 fe:00 333360                     /usr/lib/a name with blanks.so
      7f1c9a4dd000-7f1c9a4de000 rw-p 00005000 fe:00 333360                     /usr/lib/a.so
      7f1c9b000000-7f1c9b001000 r-xp 00000000 00:00 0
      7ffd00000000-7ffd00001000 r-xp 00000000 00:00 0                          [vdso]
      nonsense r-xp 0 0 0 /x
      """
    #expect(
      StartupPages.codeMappings(maps) == [
        0x5651_018a_c000..<0x5651_052f_c000, 0x7f1c_9a4c_7000..<0x7f1c_9a4d_d000,
      ])
  }

  /// This process goes on, with its own code unmapped under it.
  @Test func lettingGoHarmsNothing() throws {
    let own = try #require(LabFiles.read("/proc/self/maps"))
    #expect(!StartupPages.codeMappings(own).isEmpty)
    StartupPages.letGo()
    #expect(StartupPages.codeMappings(own).count > 1)
  }
}
