package chatroom

// SetDefaultOrder gives all servers that have no order one from newOrder.
func SetDefaultOrder(newOrder func() Order) {
	testHookServerConfig = func(c *serverConfig) {
		if c.order == nil {
			c.order = newOrder()
		}
	}
}
