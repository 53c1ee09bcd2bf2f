package wsroom

import (
	"errors"
	"math"
	"net"
	"sync/atomic"
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
	c.pong, c.pongs = append(c.pong[:0], payload...), true
	c.mu.Unlock()
	c.startControls()
}

func (c *conn) hasControls() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state == connOpen && (c.pongs || c.ping != 0)
}

// addControls hands the encoder the control frames that wait, if they may come now. The
// caller holds writing.
func (c *conn) addControls() {
	if !c.enc.between() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pongs {
		c.enc.addControl(ws.OpPong, c.pong)
		c.pongs = false
	}
	if c.ping != 0 {
		c.enc.addControl(c.ping, nil)
		c.ping = 0
	}
}

// startControls writes the control frames that wait, on a goroutine of its own. If somebody
// is writing, they are left to them.
func (c *conn) startControls() {
	select {
	case <-c.writing:
		go c.writeControls()
	default:
	}
}

// writeControls writes the control frames that wait, and gives writing back. A peer that
// takes nothing stops it until the write deadline or controlTimeout.
func (c *conn) writeControls() {
	if c.enc.between() {
		c.mu.Lock()
		if c.state == connOpen {
			_ = c.nc.SetWriteDeadline(time.Now().Add(controlTimeout)) // the owner's may be long over
		}
		c.mu.Unlock()
		c.addControls()
		_ = c.writeHead() // a connection that is broken shows it when it is used
		c.mu.Lock()
		if c.state == connOpen {
			_ = c.nc.SetWriteDeadline(c.writeBy)
		}
		c.mu.Unlock()
	}
	c.writing <- struct{}{}
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
	if !c.setState(connEnding) {
		return net.ErrClosed
	}
	return c.sayGoodbye()
}

// Close sends the close frame, unless the peer takes nothing or a message was cut short, and
// closes the connection. If the peer has not said goodbye, the server's end waits for that
// for a moment: closing with bytes unread sends a reset, which can destroy the close frame.
func (c *conn) Close() error {
	c.beat.stop()
	first := c.setState(connEnding)
	if !c.setState(connClosed) {
		return net.ErrClosed
	}
	_ = c.nc.SetReadDeadline(longAgo)  // whoever reads returns
	_ = c.nc.SetWriteDeadline(longAgo) // and so does whoever writes
	if first && c.sayGoodbye() == nil && c.request != nil {
		c.hearOut()
	}
	return c.nc.Close()
}

// sayGoodbye writes the close frame, within graceTimeout.
func (c *conn) sayGoodbye() error {
	patience := time.NewTimer(graceTimeout)
	defer patience.Stop()
	select {
	case <-c.writing:
	case <-patience.C:
		return errCutShort
	}
	defer func() { c.writing <- struct{}{} }()
	if !c.enc.between() {
		return errCutShort
	}
	c.mu.Lock()
	reason := c.reason
	c.mu.Unlock()
	c.addControls()
	c.enc.addControl(ws.OpClose, ws.NewCloseFrameBody(ws.StatusCode(reason.Code), reason.Reason))
	_ = c.nc.SetWriteDeadline(time.Now().Add(graceTimeout)) // if that fails, so does the write
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
	select {
	case <-c.reading: // who has read has returned, and does not see the new deadline
	case <-patience.C:
		return
	}
	defer func() { c.reading <- struct{}{} }()
	if c.nc.SetReadDeadline(deadline) != nil {
		return
	}
	buf := make([]byte, 512)
	for err := error(nil); err == nil; {
		_, err = c.nc.Read(buf)
	}
}

// A beat sends something now and then, so that proxies do not cut an idle connection.
type beat struct {
	timer  *time.Timer // nil for none
	seen   uint64      // arrivals at the last beat
	missed int         // beats in a row to which the peer has said nothing
	over   atomic.Bool
}

// startBeat sends a frame of that kind now and then. If it is a ping, a peer that does not
// answer two in a row has vanished.
func (c *conn) startBeat(op ws.OpCode, interval time.Duration) {
	if interval <= 0 {
		return
	}
	c.mu.Lock() // which beatOnce takes before it uses the timer
	defer c.mu.Unlock()
	c.beat.seen = math.MaxUint64
	c.beat.timer = time.AfterFunc(interval, func() { c.beatOnce(op, interval) })
}

// beatOnce runs on a goroutine of the timer's.
func (c *conn) beatOnce(op ws.OpCode, interval time.Duration) {
	seen := c.arrivals.Load()
	if op == ws.OpPing && c.waiting.Load() && seen == c.beat.seen {
		c.beat.missed++
	} else {
		c.beat.missed = 0
	}
	c.beat.seen = seen
	vanished := c.beat.missed == 2
	c.mu.Lock()
	if vanished {
		c.silent = true
		_ = c.nc.SetReadDeadline(longAgo)
	} else {
		c.ping = op
	}
	c.mu.Unlock()
	if vanished {
		return
	}
	c.startControls()
	if !c.beat.over.Load() {
		c.beat.timer.Reset(interval)
	}
}

// stop ends the beats. One that is under way may be the last.
func (b *beat) stop() {
	b.over.Store(true)
	if b.timer != nil {
		b.timer.Stop()
	}
}
