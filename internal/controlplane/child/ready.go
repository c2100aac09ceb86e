package child

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// readyInterval is how often AwaitReady asks.
const readyInterval = 50 * time.Millisecond

// logLines is how much of a child's log an error quotes.
const logLines = 15

// AwaitReady asks until the function returns nil. It gives up when the child
// ends or the context does; the error then says what was asked last in vain and what
// the child wrote last. The child is not stopped.
func (p *Process) AwaitReady(ctx context.Context, ready func(context.Context) error) error {
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for {
		err := ready(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-p.done:
			return fmt.Errorf("%s ended before it was ready (%w); its last words in %s:\n%s", p.name, p.ended(), p.log, p.LogTail(logLines))
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w: %w; its last words in %s:\n%s", p.name, ctx.Err(), err, p.log, p.LogTail(logLines))
		case <-ticker.C:
		}
	}
}

// ended is why the child ended, in words also when it ended well.
func (p *Process) ended() error {
	if err := p.Err(); err != nil {
		return err
	}
	return errors.New("exit status 0")
}
