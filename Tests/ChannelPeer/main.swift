// One side of a channel as a process of its own, to be killed; and both sides as threads, for ThreadSanitizer.
//
//   channelpeer producer|consumer PREDECESSOR PEER THREADS   descriptors: 3 a socket to the keeper, 4 the tally
//   channelpeer threads|race SECONDS THREADS

import Glibc

let arguments = CommandLine.arguments
func complain(_ message: String) {
  let line = "channelpeer: \(message)\n"
  _ = line.withCString { write(2, $0, strlen($0)) }
}
func fail(_ message: String) -> Never {
  complain(message)
  exit(70)
}

do {
  switch arguments.dropFirst().first {
  case "producer" where arguments.count == 5:
    try ProducerProcess(
      predecessor: arguments[2] == "1", peer: arguments[3] == "1", threads: Int(arguments[4]) ?? 1
    )
    .run()
  case "consumer" where arguments.count == 5:
    try ConsumerProcess(
      predecessor: arguments[2] == "1", peer: arguments[3] == "1", threads: Int(arguments[4]) ?? 1
    )
    .run()
  case "threads" where arguments.count == 4, "race" where arguments.count == 4:
    try ThreadsRun(
      seconds: Double(arguments[2]) ?? 1, threads: Int(arguments[3]) ?? 2,
      writesAfterSending: arguments[1] == "race"
    ).run()
  default:
    complain("usage: producer|consumer PREDECESSOR PEER THREADS, or threads|race SECONDS THREADS")
    exit(64)
  }
} catch {
  fail("\(error)")
}
