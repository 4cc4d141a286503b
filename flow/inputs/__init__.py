"""What commands start from: configurations, models, images, units and boards, as the user names them."""
