package journal

// Nowhere reports whether c is the zero Cursor, which keeps nothing alive.
func (c *Cursor) Nowhere() bool { return c.chunk == nil }
