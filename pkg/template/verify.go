package template

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// verified is the content of verified.json: the state of the memory file in which
// its digest was found right. Any write to the file changes its identity, so the
// 40 MB need not be read again at each start, but are once after each boot of the
// host, as a crash may lose what had not reached the disk.
type verified struct {
	BootID string `json:"bootID"`
	RAM    string `json:"ram"` // identity
}

// verify returns nil when the template's files are what its description says.
func (s *Store) verify(t Template) error {
	state, err := digest(t.State)
	if err != nil {
		return err
	}
	if state != t.Info.State {
		return fmt.Errorf("%s is not what was saved", t.State)
	}
	now, err := identity(t.RAM)
	if err != nil {
		return err
	}
	var known verified
	if b, err := os.ReadFile(filepath.Join(t.Dir, verifiedName)); err == nil && json.Unmarshal(b, &known) == nil {
		if known == (verified{s.bootID, now}) {
			return nil
		}
	}
	ram, err := digest(t.RAM)
	if err != nil {
		return err
	}
	if ram != t.Info.RAM {
		return fmt.Errorf("%s is not what was saved", t.RAM)
	}
	return s.noteVerified(t)
}

// noteVerified writes down that the memory file is right as it is now. A disk that
// is full costs the next start the reading.
func (s *Store) noteVerified(t Template) error {
	id, err := identity(t.RAM)
	if err != nil {
		return err
	}
	if err := writeJSON(filepath.Join(t.Dir, verifiedName), verified{s.bootID, id}); err != nil {
		s.log.Warn("note that a template is whole", "template", t.Key, "error", err)
	}
	return nil
}
