extension HTMLReport {
    /// Blue and orange, which nobody confuses; text has a contrast of 4.5 at least on both grounds.
    static let style = """
        :root {
          --ground: #f4f5f7; --panel: #ffffff; --ink: #14171c; --soft: #525a66; --faint: #dfe3e8; --track: #eef0f3;
          --allowed: #2468b8; --denied: #d4541b; --on-dark: #14171c; --notice: #fdf0e3; --notice-edge: #d4541b;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #101318; --panel: #191d24; --ink: #eceff3; --soft: #a3acb9; --faint: #2d333d; --track: #232933;
            --allowed: #5b9bea; --denied: #f0834a; --on-dark: #14171c; --notice: #33241a; --notice-edge: #f0834a;
          }
        }
        * { box-sizing: border-box; }
        body { margin: 0; background: var(--ground); color: var(--ink);
          font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
        main { max-width: 1064px; margin: 0 auto; padding: 40px 24px 32px; }
        header { margin-bottom: 28px; }
        .kind { margin: 0; color: var(--soft); font-size: 13px; font-weight: 600; }
        h1 { margin: 2px 0 14px; font-size: 34px; line-height: 1.15; letter-spacing: -0.02em; overflow-wrap: anywhere; }
        h2 { margin: 0; font-size: 19px; letter-spacing: -0.01em; }
        dl { display: flex; flex-wrap: wrap; gap: 8px 36px; margin: 0; }
        dt { color: var(--soft); font-size: 13px; }
        dd { margin: 0; overflow-wrap: anywhere; }
        section { background: var(--panel); border: 1px solid var(--faint); border-radius: 10px; padding: 22px 24px;
          margin-bottom: 18px; }
        section.tiles { display: flex; flex-wrap: wrap; gap: 1px; padding: 0; background: var(--faint); overflow: hidden; }
        .tile { flex: 1 1 160px; background: var(--panel); padding: 16px 20px; }
        .tile span { display: block; color: var(--soft); font-size: 13px; }
        .tile b { font-size: 25px; font-weight: 650; letter-spacing: -0.02em; font-variant-numeric: tabular-nums;
          white-space: nowrap; }
        .tile.allowed b { color: var(--allowed); }
        .tile.denied b { color: var(--denied); }
        .remark { margin: 2px 0 16px; color: var(--soft); font-size: 14px; max-width: 76ch; }
        .legend { display: flex; gap: 20px; margin: 0 0 10px; font-size: 13px; color: var(--soft); }
        .legend span::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px;
          margin-right: 7px; background: var(--allowed); }
        .legend .denied::before { background: var(--denied); }
        .legend .hollow::before { background: none; border: 1.5px dashed var(--soft); }
        .empty { margin: 0; padding: 26px 0; text-align: center; color: var(--soft); }
        .notice { margin: 0 0 18px; padding: 12px 18px; background: var(--notice); border-left: 3px solid var(--notice-edge);
          border-radius: 4px; }
        .drawing { overflow-x: auto; }
        svg { display: block; width: 100%; min-width: 680px; height: auto; font-size: 13px; }
        text { fill: var(--ink); font-variant-numeric: tabular-nums; }
        text.axis, text.note, text.muted, text.silent { fill: var(--soft); }
        text.axis { font-size: 12px; }
        text.value { font-weight: 600; }
        text.silent { font-style: italic; }
        text.address, .mono { font-family: ui-monospace, "SF Mono", Menlo, "DejaVu Sans Mono", monospace; font-size: 12px; }
        text.onDark { fill: var(--on-dark); font-weight: 600; }
        rect.allowed { fill: var(--allowed); }
        rect.denied { fill: var(--denied); }
        rect.track { fill: var(--track); }
        rect.hollow { fill: none; stroke: var(--soft); stroke-width: 1.2; stroke-dasharray: 2.5 2; }
        line.grid { stroke: var(--faint); }
        line.base { stroke: var(--soft); }
        line.dashed { stroke: var(--soft); stroke-dasharray: 2 5; opacity: 0.6; }
        table { width: 100%; border-collapse: collapse; margin-top: 18px; font-size: 14px; min-width: 640px; }
        th { text-align: left; font-weight: 500; font-size: 12px; color: var(--soft); padding: 0 14px 6px 0; }
        td { border-top: 1px solid var(--faint); padding: 7px 14px 7px 0; vertical-align: baseline; }
        td small { color: var(--soft); margin-left: 8px; }
        .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
        th.number:last-child, td.number:last-child { padding-right: 0; }
        footer { color: var(--soft); font-size: 13px; padding: 8px 2px; max-width: 84ch; }
        @media print { body { background: none; } section { break-inside: avoid; } }
        """
}
