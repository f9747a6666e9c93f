/// Rows of a report in columns as wide as their longest text, two blanks apart.
public enum AlignedColumns {
  /// One line a row, without blanks at its end. All rows have as many texts as the first.
  ///
  /// - Parameter rightFrom: Columns from this one on stand right: figures, so that digits stand under digits.
  public static func lines(_ rows: [[String]], rightFrom: Int = .max) -> [String] {
    guard let first = rows.first else { return [] }
    let widths = first.indices.map { column in rows.map { TextWidth.cells($0[column]) }.max() ?? 0 }
    return rows.map { row in
      var line = row.indices.map {
        TextWidth.fit(row[$0], to: widths[$0], mark: "~", alignRight: $0 >= rightFrom)
      }.joined(separator: "  ")
      while line.last == " " { line.removeLast() }
      return line
    }
  }
}
