package image

import (
	"context"
	"fmt"

	"github.com/containers/common/libimage"
	"github.com/containers/common/libimage/filter"
	imgtypes "github.com/containers/image/v5/types"
)

// SearchOptions say what is searched for, and how. The zero value finds 25 images
// on each registry.
type SearchOptions struct {
	Access
	Retry    Retry
	Filters  []string // "stars=3", "is-official", "is-automated=false"
	Limit    int      // for each registry; 0 is 25
	ListTags bool     // the term is a repository, and its tags are wanted
	NoTrunc  bool     // whole descriptions
}

// Found is an image, or with ListTags a tag, on a registry. The texts are the
// registry's.
type Found = libimage.SearchResult

// Search looks for images on the registry the term begins with, or on those that
// registries.conf names for short names.
func (s *Store) Search(ctx context.Context, term string, opts SearchOptions) ([]Found, error) {
	if err := opts.check(); err != nil {
		return nil, err
	}
	if opts.Limit < 0 {
		return nil, fmt.Errorf("--limit %d: less than nothing", opts.Limit)
	}
	filters, err := filter.ParseSearchFilter(opts.Filters)
	if err != nil {
		return nil, fmt.Errorf("--filter: %w", err)
	}
	rt, err := s.open(ctx)
	if err != nil {
		return nil, err
	}
	o := &libimage.SearchOptions{
		Filter: *filters, Limit: opts.Limit, NoTrunc: opts.NoTrunc, ListTags: opts.ListTags,
		Authfile: opts.AuthFile, CertDirPath: opts.CertDir, Credentials: opts.Creds,
	}
	if opts.TLSVerify != nil {
		o.InsecureSkipTLSVerify = imgtypes.NewOptionalBool(!*opts.TLSVerify)
	}
	var found []Found
	err = s.attempts(ctx, opts.Retry, func(ctx context.Context, _ chan imgtypes.ProgressProperties) (err error) {
		found, err = rt.Search(ctx, term, o)
		return err
	})
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, explain(fmt.Errorf("search %s: %w", term, onOneLine(err)))
	}
	return found, nil
}
