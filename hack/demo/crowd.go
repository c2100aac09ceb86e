package main

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

const (
	crowdSize    = 1000
	crowdWorkers = 16
	// maxAnswer bounds what is read of an answer, and of an archive.
	maxAnswer = 32 << 20
)

// crowd is 1,000 users of the host app, each with a device that remembers what
// it has installed of each program.
type crowd struct {
	url    string
	http   *http.Client
	pinned []dsse.Key
	users  []string
	// installed has for each program what each user's device has.
	installed map[string][]string
	// seen is the newest document of each program that was believed.
	seen map[string]release.Seen
}

// newCrowd makes users that pin the public keys, as their host app was built with.
func newCrowd(url, keys string) (*crowd, error) {
	c := &crowd{
		url: url, installed: map[string][]string{}, seen: map[string]release.Seen{},
		http: &http.Client{
			Timeout:   20 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: crowdWorkers, MaxConnsPerHost: crowdWorkers},
		},
	}
	for rest := []byte(keys); ; {
		block, more := pem.Decode(rest)
		if block == nil {
			break
		}
		key, err := dsse.ParsePublicKeyPEM(pem.EncodeToMemory(block))
		if err != nil {
			return nil, fmt.Errorf("reading the public keys: %w", err)
		}
		c.pinned, rest = append(c.pinned, key), more
	}
	for i := range crowdSize {
		c.users = append(c.users, fmt.Sprintf("user-%04d", i+1))
	}
	return c, nil
}

// answer is what the manifest service says to one user about one program.
type answer struct {
	Action         string `json:"action"`
	Version        string `json:"version"`
	Digest         string `json:"digest"`
	EnvelopeDigest string `json:"envelopeDigest"`
	Reason         string `json:"reason"`
	Sequence       int64  `json:"sequence"`
}

// askAll asks for every user, a few at a time, and returns the answers in the
// order of the users.
func (c *crowd) askAll(ctx context.Context, appID string) ([]answer, error) {
	answers, errs := make([]answer, len(c.users)), make([]error, len(c.users))
	var next atomic.Int64
	var wait sync.WaitGroup
	for range crowdWorkers {
		wait.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(c.users) || ctx.Err() != nil {
					return
				}
				answers[i], errs[i] = c.ask(ctx, c.users[i], appID, c.has(appID, i))
			}
		})
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return answers, errors.Join(errs...)
}

func (c *crowd) has(appID string, user int) string {
	if devices := c.installed[appID]; devices != nil {
		return devices[user]
	}
	return ""
}

// ask asks for one user.
func (c *crowd) ask(ctx context.Context, user, appID, installed string) (answer, error) {
	type object = map[string]any
	body, err := json.Marshal(object{"user": user, "programs": []object{{"appID": appID, "installed": object{"digest": installed}}}})
	if err != nil {
		return answer{}, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url+"/v1/hosts/"+hostApp+"/resolve", bytes.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	text, err := c.do(request)
	if err != nil {
		return answer{}, fmt.Errorf("asking for %s: %w", user, err)
	}
	var response struct {
		Programs []answer `json:"programs"`
	}
	if err := json.Unmarshal(text, &response); err != nil || len(response.Programs) != 1 {
		return answer{}, fmt.Errorf("asking for %s: the answer is not understood: %.200s", user, text)
	}
	return response.Programs[0], nil
}

// get reads the answer at a path of the service, or at a whole URL.
func (c *crowd) get(ctx context.Context, url string) ([]byte, error) {
	if url[0] == '/' {
		url = c.url + url
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return c.do(request)
}

// do returns the body of an answer with status 200; any other is an error.
func (c *crowd) do(request *http.Request) ([]byte, error) {
	response, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, &statusError{url: request.URL.String(), code: response.StatusCode, text: string(text)}
	}
	return text, nil
}

// statusError is an answer with another status than 200.
type statusError struct {
	url, text string
	code      int
}

func (e *statusError) Error() string {
	return fmt.Sprintf("%s answers %d: %.300s", e.url, e.code, e.text)
}

// envelope fetches the signed document of a program and checks it as a host app
// does that decides by itself: with pinned keys, and never older than one it saw.
func (c *crowd) envelope(ctx context.Context, appID string) (*release.Verified, error) {
	text, err := c.get(ctx, "/v1/hosts/"+hostApp+"/programs/"+appID)
	if err != nil {
		return nil, err
	}
	verified, err := release.Verify(text, release.Expect{
		AppID: appID, Channel: "release", HostApp: hostApp, Keys: c.pinned, Seen: c.seen[appID], Now: time.Now(),
	})
	if err != nil {
		return nil, fmt.Errorf("verifying the document of %s: %w", appID, err)
	}
	c.seen[appID] = verified.Seen()
	return verified, nil
}
