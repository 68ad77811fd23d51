"""Long work in the background: kept row by row, carried out by workers, resumed after a stop."""
