package source

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Credentials are what a Secret holds: for each host that it names, what may be
// sent there. Nothing is sent anywhere else.
type Credentials struct {
	// Logins by host, with a port unless it is the scheme's own: "example.com" or
	// "example.com:8443".
	Logins map[string]Login
}

// Login is a name with a password, or a bearer token.
type Login struct {
	Username, Password string
	Token              string
}

// The keys of a Secret that ReadSecret knows.
const (
	dockerConfigKey = ".dockerconfigjson"
	hostsKey        = "hosts"
	usernameKey     = "username"
	passwordKey     = "password"
	tokenKey        = "token"
)

// ReadSecret reads the data of a Secret. It has either the key .dockerconfigjson,
// as kubectl create secret docker-registry makes it, or the key hosts (names
// separated by white space or commas) with username and password, or with token.
// The error says what is missing and never holds a value of the Secret.
func ReadSecret(data map[string][]byte) (*Credentials, error) {
	if config, ok := data[dockerConfigKey]; ok {
		return readDockerConfig(config)
	}
	hosts := strings.FieldsFunc(string(data[hostsKey]), func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) })
	if len(hosts) == 0 {
		return nil, errors.New("it names no host: write the hosts that it is for under the key hosts, or use a Secret of type kubernetes.io/dockerconfigjson")
	}
	login := Login{
		Username: string(data[usernameKey]),
		Password: string(data[passwordKey]),
		Token:    strings.TrimSpace(string(data[tokenKey])),
	}
	if login.Token == "" && (login.Username == "" || login.Password == "") {
		return nil, errors.New("it holds no credential: write the keys username and password, or the key token")
	}
	c := &Credentials{Logins: map[string]Login{}}
	for _, host := range hosts {
		c.Logins[host] = login
	}
	return c, nil
}

func readDockerConfig(config []byte) (*Credentials, error) {
	var parsed struct {
		Auths map[string]struct {
			Username      string `json:"username"`
			Password      string `json:"password"`
			Auth          string `json:"auth"`
			RegistryToken string `json:"registrytoken"`
		} `json:"auths"`
	}
	// The decoder's error quotes what it read, which is secret.
	if json.Unmarshal(config, &parsed) != nil {
		return nil, fmt.Errorf("its key %s is no Docker configuration in JSON", dockerConfigKey)
	}
	c := &Credentials{Logins: map[string]Login{}}
	for name, auth := range parsed.Auths {
		login := Login{Username: auth.Username, Password: auth.Password, Token: auth.RegistryToken}
		if auth.Auth != "" {
			plain, err := base64.StdEncoding.DecodeString(auth.Auth)
			user, password, ok := strings.Cut(string(plain), ":")
			if err != nil || !ok {
				return nil, fmt.Errorf("its key %s has an auth for %s that is not the base64 form of name:password", dockerConfigKey, name)
			}
			login.Username, login.Password = user, password
		}
		c.Logins[hostOfAuth(name)] = login
	}
	return c, nil
}

// hostOfAuth is the host of an entry of auths, which may be a host or a URL.
func hostOfAuth(name string) string {
	if u, err := url.Parse(name); err == nil && u.Host != "" {
		return u.Host
	}
	host, _, _ := strings.Cut(name, "/")
	return host
}

// dockerHub is one service under four names, and its clients write any of them.
var dockerHub = map[string]bool{
	"docker.io:443": true, "index.docker.io:443": true, "registry-1.docker.io:443": true, "auth.docker.io:443": true,
}

// find returns what may be sent to host. A nil receiver holds nothing.
func (c *Credentials) find(scheme, host string) (Login, bool) {
	if c == nil {
		return Login{}, false
	}
	want := canonicalHost(scheme, host)
	for name, login := range c.Logins {
		got := canonicalHost(scheme, name)
		if got == want || (dockerHub[got] && dockerHub[want]) {
			return login, true
		}
	}
	return Login{}, false
}

// authorize adds what may be sent to the request's host.
func (c *Credentials) authorize(req *http.Request) {
	login, ok := c.find(req.URL.Scheme, req.URL.Host)
	switch {
	case !ok:
	case login.Token != "":
		req.Header.Set("Authorization", "Bearer "+login.Token)
	default:
		req.SetBasicAuth(login.Username, login.Password)
	}
}

// hint says what to do about an answer that asks for credentials. field is where
// the Secret is named.
func (c *Credentials) hint(scheme, host, field string) string {
	if c == nil {
		return fmt.Sprintf("name a Secret with credentials for %s in %s; it is tried again", host, field)
	}
	if _, ok := c.find(scheme, host); !ok {
		return fmt.Sprintf("the Secret of %s does not name the host %s, so nothing of it was sent there; it is tried again", field, host)
	}
	return fmt.Sprintf("what the Secret of %s holds for %s is not accepted there: correct it; it is tried again", field, host)
}
