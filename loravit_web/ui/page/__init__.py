"""What all tabs share on the page: address, arrival, navigation and notices."""
