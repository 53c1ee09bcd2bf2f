//go:build linux

package main

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/go-analyze/charts"
)

// draw writes a bar chart of each column that has one into dir.
func (r *results) draw(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for _, s := range r.scenarios {
		for _, c := range s.columns {
			if c.chart == "" {
				continue
			}
			svg, err := r.bars(s, c)
			if err != nil {
				return fmt.Errorf("draw %s: %w", c.chart, err)
			}
			if err := os.WriteFile(filepath.Join(dir, c.chart+".svg"), svg, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

// bars draws the first figure of a column, the best at the top. It has no
// background, and colours that can be read on white and on black.
func (r *results) bars(s *scenario, c column) ([]byte, error) {
	shown := slices.DeleteFunc(slices.Clone(r.peers), func(p *peer) bool {
		return math.IsNaN(r.median(s, c, p, 0))
	})
	slices.SortFunc(shown, func(a, b *peer) int {
		// The axis begins at the bottom.
		return int(math.Copysign(1, r.median(s, c, b, 0)-r.median(s, c, a, 0)))
	})
	values := make([]float64, len(shown))
	names := make([]string, len(shown))
	for i, p := range shown {
		values[i], names[i] = r.median(s, c, p, 0), p.name
	}
	const rowHeight = 26
	grey := charts.ColorRGB(128, 128, 128)
	theme := charts.GetTheme(charts.ThemeLight).
		WithBackgroundColor(charts.ColorTransparent).
		WithTextColor(grey).
		WithAxisSplitLineColor(charts.ColorTransparent).
		WithSeriesColors([]charts.Color{charts.ColorRGB(66, 133, 214)})
	opt := charts.NewBarChartOptionWithData([][]float64{values})
	opt.Horizontal = true
	opt.Theme = theme
	opt.Title.Text = fmt.Sprintf("%s: %s", s.figures[0].heading(), c.label)
	opt.Title.FontStyle.FontSize = 12
	opt.Padding = charts.Box{Top: 8, Right: 60, Bottom: 8, Left: 8}
	opt.CategoryAxis = charts.CategoryAxisOption{Labels: names}
	opt.SeriesList[0].Label.Show = charts.Ptr(true)
	opt.SeriesList[0].Label.ValueFormatter = number
	painter := charts.NewPainter(charts.PainterOptions{
		OutputFormat: charts.ChartOutputSVG,
		Width:        720,
		Height:       90 + rowHeight*len(shown),
	})
	if err := painter.BarChart(opt); err != nil {
		return nil, err
	}
	return painter.Bytes()
}
