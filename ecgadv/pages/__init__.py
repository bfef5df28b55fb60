"""What the book shows of the records: results, tables, drawings, sentences and verdicts."""
