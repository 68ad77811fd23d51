"""Long work in the background, ingestion included: kept row by row, carried out by workers, resumed after a stop."""
