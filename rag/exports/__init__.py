"""What people take away from Resift: reports, JSON and spreadsheets that open without it."""
