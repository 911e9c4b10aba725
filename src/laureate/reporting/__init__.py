"""What people look at: the report page, charts, contact sheets, the README's table."""
