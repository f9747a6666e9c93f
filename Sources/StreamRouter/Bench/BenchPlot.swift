import Foundation

/// A figure as a program for gnuplot, with its values in it: whoever wants another picture changes that.
struct BenchPlot: Sendable {
  var figure: BenchFigure

  /// Figures with an axis; the others are tables.
  static func draws(_ figure: BenchFigure) -> Bool { !figure.axis.isEmpty && !figure.isBeside }

  /// Told apart by every common kind of colour vision (Okabe and Ito); ways that are ours are drawn thick, peers thin.
  private static let colours = [
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#8C564B", "#7F7F7F",
    "#A6761D",
    "#1B9E77",
  ]

  /// - Parameter output: The file that gnuplot writes, .svg or .png.
  func script(output: String) -> String {
    let places = figure.places
    let highest = figure.series.flatMap { $0.points.compactMap { $0.spread?.high } }.max() ?? 0
    let (scale, unit) = BenchNumber.scale(for: figure.unit, highest)
    let names = places.enumerated().map { "'\($1)' \($0)" }.joined(separator: ", ")
    var lines: [String] = [
      output.hasSuffix(".svg")
        ? "set terminal svg size 900,480 font 'sans-serif,13' background '#ffffff'"
        : "set terminal pngcairo size 900,480 font 'sans,11'",
      "set output '\(output)'", "set title \"\(Self.quoted(figure.title))\"", "set key outside right top",
      "set grid ytics lc rgb '#cccccc'", "set xlabel \"\(Self.quoted(figure.axis))\"",
      "set ylabel \"\(Self.quoted(unit))\"", "set border 3", "set tics nomirror",
      "set xrange [-0.3:\(Double(places.count) - 0.7)]",
      "set xtics (\(names))",
      BenchChart.isLogarithmic(figure) ? "set logscale y" : "set yrange [0:*]",
    ]
    for (number, series) in figure.series.enumerated() {
      lines.append("$way\(number) << EOD")
      for point in series.points {
        guard let place = places.firstIndex(of: point.x), let spread = point.spread else { continue }
        lines.append("\(place) \(spread.median * scale) \(spread.low * scale) \(spread.high * scale)")
      }
      lines.append("EOD")
    }
    let plots = figure.series.enumerated().flatMap { number, series in
      let isPeer = BenchWay(rawValue: series.way)?.isPeer == true
      let colour = Self.colours[number % Self.colours.count]
      let title = Self.quoted(BenchWay.title(of: series.way))
      return [
        "$way\(number) using 1:2:3:4 with yerrorbars lc rgb '\(colour)' lw 1 pt 0 notitle",
        "$way\(number) using 1:2 with linespoints lc rgb '\(colour)' lw \(isPeer ? 1 : 2.5) dt \(isPeer ? 2 : 1) pt \(number % 7 + 4) ps 0.8 title \"\(title)\"",
      ]
    }
    lines.append("plot " + plots.joined(separator: ", \\\n     "))
    return lines.joined(separator: "\n") + "\n"
  }

  private static func quoted(_ text: String) -> String {
    // gnuplot's enhanced text gives these a meaning.
    text.reduce(into: "") { $0 += "\"\\_^{}@&".contains($1) ? "\\\\\($1)" : "\($1)" }
  }
}
