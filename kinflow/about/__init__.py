"""What kinflow and this machine are made of: licences, a bill of materials, a report for a bug."""
