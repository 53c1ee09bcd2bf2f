package wsroom

import (
	"errors"
	"net"
	"time"

	"github.com/gobwas/ws"
)

// controlTimeout is how long a peer may take for a control frame.
const controlTimeout = 10 * time.Second

// errCutShort is why there is no close frame: it would be taken for a part of a message.
var errCutShort = errors.New("wsroom: a message was cut short")

// answerPing answers a ping, unless the answer to an earlier one still waits, which this one
// then replaces.
func (c *conn) answerPing(payload []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pong, c.ponging = append(c.pong[:0], payload...), true
	c.startControlsLocked()
}

// hasControlsLocked reports whether control frames wait. c.mu must be held.
func (c *conn) hasControlsLocked() bool { return c.state == connOpen && (c.ponging || c.ping != 0) }

// addControlsLocked hands the encoder the control frames that wait, if they may come now, and
// those of an earlier time have been written. c.mu must be held, and the caller holds
// writing.
func (c *conn) addControlsLocked() {
	if !c.enc.between() || len(c.enc.head) > 0 {
		return
	}
	if c.ponging {
		c.enc.addControl(ws.OpPong, c.pong)
		c.ponging = false
	}
	if c.ping != 0 {
		c.enc.addControl(c.ping, nil)
		c.ping = 0
	}
}

// startControlsLocked starts a goroutine that writes the control frames that wait. If somebody
// is writing, or is to go on with a message that was cut short, they are left to them. c.mu
// must be held.
func (c *conn) startControlsLocked() {
	if c.hasControlsLocked() && !c.writing.held && c.enc.between() {
		c.writing.held = true
		c.handToControlsLocked()
	}
}

// handToControlsLocked hands writing to a goroutine that writes the control frames that wait.
// c.mu must be held.
func (c *conn) handToControlsLocked() {
	c.controlling = true
	_ = c.nc.SetWriteDeadline(time.Now().Add(controlTimeout)) // the owner's may be long over
	go c.writeControls()
}

// writeControls writes the control frames that wait, and gives writing back. A peer that
// takes nothing stops it until controlTimeout, or the write deadline of whoever waits to
// write.
func (c *conn) writeControls() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for err := error(nil); err == nil && c.hasControlsLocked() && c.writing.waiting == 0; {
		c.addControlsLocked()
		c.mu.Unlock()
		err = c.writeHead() // a connection that is broken shows it when it is used
		c.mu.Lock()
	}
	if c.state == connOpen {
		_ = c.nc.SetWriteDeadline(c.writeBy)
	}
	c.controlling = false
	c.writing.giveLocked()
}

// writeHead writes what the encoder has to write before a payload.
func (c *conn) writeHead() error {
	head, _ := c.enc.next(0)
	if len(head) == 0 {
		return nil
	}
	n, err := c.nc.Write(head)
	c.enc.wrote(max(n, 0))
	return err
}

// CloseWrite sends the close frame, and nothing after it. The peer ends its half then, too.
func (c *conn) CloseWrite() error {
	c.mu.Lock()
	first := c.moveLocked(connEnding)
	c.mu.Unlock()
	if !first {
		return net.ErrClosed
	}
	return c.sayGoodbye()
}

// Close sends the close frame, unless the peer takes nothing or a message was cut short, and
// closes the connection. If the peer has not said goodbye, the server's end waits for that
// for a moment: closing with bytes unread sends a reset, which can destroy the close frame.
func (c *conn) Close() error {
	c.mu.Lock()
	first := c.moveLocked(connEnding)
	if !c.moveLocked(connClosed) {
		c.mu.Unlock()
		return net.ErrClosed
	}
	c.beat.stop()
	_ = c.nc.SetReadDeadline(longAgo)  // whoever reads returns
	_ = c.nc.SetWriteDeadline(longAgo) // and so does whoever writes
	c.mu.Unlock()
	if first && c.sayGoodbye() == nil && !c.isClient() {
		c.hearOut()
	}
	if c.open != nil {
		defer c.open.Add(-1)
	}
	return c.nc.Close()
}

// sayGoodbye writes the close frame, within graceTimeout.
func (c *conn) sayGoodbye() error {
	patience := time.NewTimer(graceTimeout)
	defer patience.Stop()
	if !c.take(&c.writing, patience.C) {
		return errCutShort
	}
	defer c.give(&c.writing)
	if !c.enc.between() {
		return errCutShort
	}
	c.mu.Lock()
	reason := c.reason
	c.addControlsLocked()
	_ = c.nc.SetWriteDeadline(time.Now().Add(graceTimeout)) // if that fails, so does the write
	c.mu.Unlock()
	c.enc.addControl(ws.OpClose, ws.NewCloseFrameBody(ws.StatusCode(reason.Code), reason.Reason))
	return c.writeHead()
}

// hearOut drops what the peer still sends until it hangs up, for graceTimeout at most.
func (c *conn) hearOut() {
	c.mu.Lock()
	ended := c.ended
	c.mu.Unlock()
	if half, ok := c.nc.(interface{ CloseWrite() error }); ended || !ok || half.CloseWrite() != nil {
		return
	}
	deadline := time.Now().Add(graceTimeout)
	patience := time.NewTimer(graceTimeout)
	defer patience.Stop()
	if !c.take(&c.reading, patience.C) {
		return
	}
	defer c.give(&c.reading) // who has read has returned, and does not see the new deadline
	if c.nc.SetReadDeadline(deadline) != nil {
		return
	}
	buf := make([]byte, 512)
	for err := error(nil); err == nil; {
		_, err = c.nc.Read(buf)
	}
}

// A beat sends something now and then, so that proxies do not cut an idle connection. The
// connection's mu guards it.
type beat struct {
	timer  *time.Timer // nil for none
	seen   uint32      // arrivals at the last beat
	begun  bool        // there was a beat
	missed uint8       // beats in a row to which the peer has said nothing
}

// startBeat sends a frame of that kind now and then. If it is a ping, a peer that does not
// answer two in a row has vanished.
func (c *conn) startBeat(op ws.OpCode, interval time.Duration) {
	if interval <= 0 {
		return
	}
	c.mu.Lock() // which beatOnce takes before it uses the timer
	defer c.mu.Unlock()
	c.beat.timer = time.AfterFunc(interval, func() { c.beatOnce(op, interval) })
}

// beatOnce runs on a goroutine of the timer's.
func (c *conn) beatOnce(op ws.OpCode, interval time.Duration) {
	seen := c.arrivals.Load()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == connClosed {
		return
	}
	if op == ws.OpPing && c.waiting.Load() && c.beat.begun && seen == c.beat.seen {
		c.beat.missed++
	} else {
		c.beat.missed = 0
	}
	c.beat.seen, c.beat.begun = seen, true
	if c.beat.missed == 2 {
		c.silent = true
		_ = c.nc.SetReadDeadline(longAgo)
		return
	}
	c.ping = op
	c.startControlsLocked()
	c.beat.timer.Reset(interval)
}

// stop ends the beats.
func (b *beat) stop() {
	if b.timer != nil {
		b.timer.Stop()
	}
}
