package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"time"

	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/client"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/decide"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/dsse"
	"github.com/miniprogram-dev/miniprogram-operator/sdk/go/release"
)

const installed, installedVersion = "sha256:…", "1.4.1"

// A host app asks for a program's document, decides for its user, and installs.
func ExampleClient_Fetch() {
	ctx := context.Background()
	pinned, err := dsse.ParsePublicKeyPEM([]byte(fromMiniprogramJSON))
	if err != nil {
		log.Fatal(err)
	}
	c := &client.Client{
		Base: "https://mini.example.com", HostApp: "wallet", Pinned: []dsse.Key{pinned}, Store: memory{},
		HTTP: &http.Client{Timeout: 30 * time.Second},
	}
	verified, err := c.Fetch(ctx, "com.example.shop", "release")
	if errors.Is(err, release.ErrExpired) {
		fmt.Println("run what is installed, adopt nothing new")
		return
	}
	if err != nil {
		log.Println(err) // the same; and somebody should look, if it stays
		return
	}
	d, err := decide.Decide(verified.Document, decide.Request{User: "user-1", InstalledDigest: installed, Now: time.Now()})
	if err != nil || d.Variant == nil || d.Action == decide.ActionNone {
		fmt.Println("may it be opened?", release.MayOpen(verified.Document, installedVersion))
		return
	}
	body, err := c.Download(ctx, d.Variant.Archive)
	if err != nil {
		log.Fatal(err)
	}
	defer func() { _ = body.Close() }()
	if _, err := io.Copy(io.Discard, body); err != nil { // to a file: it is used only after this
		log.Fatal(err)
	}
	// Unpack it, and compare it with d.Variant.ContentDigest: see client.Content.
}

// What kubectl miniprogram config wrote when the app was built.
const fromMiniprogramJSON = `-----BEGIN PUBLIC KEY-----
…
-----END PUBLIC KEY-----
`
