"""From results to text: records, tables, failure messages. Computes nothing."""
