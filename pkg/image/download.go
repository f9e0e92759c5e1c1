package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// answerTimeout is how long a server may think before it answers.
const answerTimeout = time.Minute

// download begins to fetch an archive from a server. libimage would take the text of an
// error for it, and could not be interrupted. The caller closes what it gets.
func download(ctx context.Context, u *url.URL) (io.ReadCloser, error) {
	if u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("%s: an archive can be fetched by http or https only", u.Redacted())
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, err
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.ResponseHeaderTimeout = answerTimeout
	transport.DisableCompression = true // the archive's own compression is part of it
	transport.DisableKeepAlives = true  // there is one request
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		if refused := new(net.OpError); errors.As(err, &refused) {
			return nil, fmt.Errorf("%w; is the address right, and is there a network?", err)
		}
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		return nil, fmt.Errorf("fetch %s: the server says %s", u.Redacted(), resp.Status)
	}
	return resp.Body, nil
}
