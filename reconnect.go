package chatroom

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// ErrReconnected is what [Conn.Receive] returns once whenever [WithReconnect] has
// connected again. It is not final: more messages follow, but some may have been
// missed.
var ErrReconnected = errors.New("chatroom: reconnected")

const (
	// shortLife is how long a connection must last for attempts to be counted anew.
	shortLife = time.Second

	// maxShortLives is how many connections in a row must end sooner for the default
	// policy to give up.
	maxShortLives = 5

	// The default policy's random pauses are below a bound that doubles from minPause
	// up to maxPause.
	minPause = 100 * time.Millisecond
	maxPause = 30 * time.Second
)

// A redialer is a Conn that connects again. It has one connection at a time, or none.
// Whoever receives connects again; whoever sends waits for that.
type redialer struct {
	// Fixed after construction.
	dial   func(ctx context.Context) (*Conn, error)
	policy func(attempt int, cause error) (wait time.Duration, ok bool)
	ctx    context.Context // ends with close
	end    context.CancelFunc

	// receiving holds a token while nobody receives. Whoever receives keeps the token
	// across I/O.
	receiving chan struct{}

	// Owned by the holder of receiving.
	attempt    int       // attempts since the last connection that lasted
	shortLives int       // connections in a row that did not last
	madeAt     time.Time // when the latest connection was made
	pauseUntil time.Time // when to dial; zero until the policy has decided
	cause      error     // why there is no connection

	// mu guards the fields below.
	mu      sync.Mutex
	conn    *Conn         // nil while there is none
	last    *Conn         // the latest, for its addresses
	final   error         // why there will never be one again; nil until then
	changed chan struct{} // closed and replaced when conn or final changes
}

// newReconnectingConn returns a Conn over first that connects again by dial.
func newReconnectingConn(first *Conn, cfg dialConfig, dial func(ctx context.Context) (*Conn, error)) *Conn {
	r := &redialer{
		dial:      dial,
		policy:    cfg.reconnect,
		receiving: make(chan struct{}, 1),
		madeAt:    time.Now(),
		conn:      first,
		last:      first,
		changed:   make(chan struct{}),
	}
	if r.policy == nil {
		r.policy = r.pause
	}
	r.ctx, r.end = context.WithCancel(context.Background())
	r.receiving <- struct{}{}
	return &Conn{redialer: r}
}

// pause is the default policy: exponential with full jitter.
func (r *redialer) pause(attempt int, _ error) (wait time.Duration, ok bool) {
	most := maxPause
	if attempt < 10 { // so that it does not overflow
		most = min(minPause<<(attempt-1), maxPause)
	}
	return rand.N(most), r.shortLives < maxShortLives
}

// state returns the connection, or nil while there is none. If there will never be one
// again, final says why. changed is closed when any of this changes.
func (r *redialer) state() (c *Conn, changed <-chan struct{}, final error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.conn, r.changed, r.final
}

// set changes the state, and returns the connection that there was. If the state is
// final already, it does nothing and returns false.
func (r *redialer) set(c *Conn, final error) (was *Conn, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.final != nil {
		return nil, false
	}
	was, r.conn, r.final = r.conn, c, final
	if c != nil {
		r.last = c
	}
	close(r.changed)
	r.changed = make(chan struct{})
	return was, true
}

// send sends body. If none of it went out before the connection ended, send tries the
// next connection.
func (r *redialer) send(ctx context.Context, body []byte) error {
	for {
		c, changed, final := r.state()
		if final != nil {
			return fmt.Errorf("chatroom: send: %w", final)
		}
		if c != nil {
			begun, err := c.sendFrame(ctx, "send", body)
			if err == nil || ctx.Err() != nil && !begun || errors.Is(err, ErrFrameTooLarge) {
				return err
			}
			if _, _, final := r.state(); final == nil { // else Close says goodbye
				_ = c.nc.Close() // it is of no use any more, as whoever receives then notices
			}
			if begun {
				return err
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("chatroom: send: %w", ctx.Err())
		}
	}
}

// receive returns the next message, or connects again and returns ErrReconnected.
func (r *redialer) receive(ctx context.Context) (Message, error) {
	select {
	case <-r.receiving:
		defer func() { r.receiving <- struct{}{} }()
	case <-ctx.Done():
		return Message{}, fmt.Errorf("chatroom: receive: %w", ctx.Err())
	case <-r.ctx.Done():
		return Message{}, fmt.Errorf("chatroom: receive: %w", net.ErrClosed)
	}
	c, _, final := r.state()
	if c != nil {
		m, err := c.Receive(ctx)
		if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
			return m, err
		}
		r.lose(c, err)
		_, _, final = r.state()
	}
	if final == nil {
		final = r.redial(ctx)
	}
	switch {
	case final == nil:
		return Message{}, ErrReconnected
	case r.ctx.Err() != nil:
		final = fmt.Errorf("chatroom: receive: %w", net.ErrClosed)
	}
	return Message{}, final
}

// lose lets go of a connection that has ended with cause.
func (r *redialer) lose(c *Conn, cause error) {
	if time.Since(r.madeAt) >= shortLife {
		r.attempt, r.shortLives = 0, 0
	} else {
		r.shortLives++
	}
	r.cause = cause
	if _, ok := r.set(nil, nil); ok { // else Close says goodbye
		_ = c.nc.Close()
	}
}

// redial connects again. If ctx ends first, the next call goes on from there.
func (r *redialer) redial(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.ctx, cancel)() // whoever receives looks at r.ctx first
	for {
		if r.ctx.Err() != nil {
			return net.ErrClosed // ctx may not have ended yet
		}
		if r.pauseUntil.IsZero() {
			wait, ok := r.policy(r.attempt+1, r.cause)
			if !ok {
				r.set(nil, r.cause)
				return r.cause
			}
			r.pauseUntil = time.Now().Add(wait)
		}
		pause := time.NewTimer(time.Until(r.pauseUntil))
		select {
		case <-pause.C:
		case <-ctx.Done():
			pause.Stop()
			return fmt.Errorf("chatroom: receive: %w", ctx.Err())
		}
		c, err := r.dial(ctx)
		if err == nil {
			if _, ok := r.set(c, nil); !ok {
				_ = c.nc.Close()
				err = net.ErrClosed
			}
		}
		switch {
		case err == nil:
			r.attempt++
			r.pauseUntil, r.madeAt = time.Time{}, time.Now()
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("chatroom: receive: %w", ctx.Err())
		}
		r.attempt++
		r.pauseUntil, r.cause = time.Time{}, err
	}
}

// close ends the connection and all waiting.
func (r *redialer) close() error {
	r.end()
	c, _ := r.set(nil, net.ErrClosed)
	if c == nil {
		return nil
	}
	return c.Close()
}

// latest returns the latest connection.
func (r *redialer) latest() net.Conn {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last.nc
}
