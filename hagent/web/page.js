// SPDX-License-Identifier: GPL-2.0-or-later
//
// The status page refreshes itself: the same page is fetched again, and each part (data-part) that
// has changed is put in as a whole. So what is shown is drawn in one place, by the server, and the
// page says the same without this script. Searching, sorting and turning pages only change the query.
"use strict";

(() => {
	const EVERY_MS = 5000, TIMEOUT_MS = 8000, TYPING_MS = 250;
	const parts = () => document.querySelectorAll("[data-part]");
	const fresh = document.getElementById("fresh");
	const lost = document.getElementById("lost");
	const field = document.getElementById("q");
	const form = document.getElementById("search");
	let read_at = Date.now(), failed_at = 0, timer = 0, typing = 0, running = null;

	// ---- the query ----

	const query = () => new URLSearchParams(location.search);

	function go(search, push) {
		const url = location.pathname + (search ? "?" + search : "");

		history[push ? "pushState" : "replaceState"](null, "", url);
		refresh();
	}

	// The form's hidden fields follow the query, for who presses Enter.
	function follow() {
		const now = query();

		for (const name of ["sort", "order"]) {
			if (now.has(name))
				form.elements[name].value = now.get(name);
		}
	}

	function search() {
		const next = query();

		clearTimeout(typing);
		next.delete("after");
		next.set("q", field.value);
		if (!field.value)
			next.delete("q");
		go(next.toString(), false);
	}

	// ---- fetching ----

	// The element that has the focus is replaced with its part: the new one of the same id gets it.
	function put(part, fetched) {
		if (part.innerHTML === fetched.innerHTML)
			return;
		const held = part.contains(document.activeElement) ? document.activeElement.id : "";

		part.innerHTML = fetched.innerHTML;
		if (held && document.getElementById(held))
			document.getElementById(held).focus({preventScroll: true});
	}

	function show(text) {
		const page = new DOMParser().parseFromString(text, "text/html");

		if (!page.getElementById("verdict"))
			throw new Error("the answer is not the status page");
		for (const part of parts()) {
			const fetched = page.getElementById(part.id);

			if (fetched)
				put(part, fetched);
		}
		document.title = page.title;
		read_at = Date.now();
		failed_at = 0;
		tell();
	}

	async function refresh() {
		clearTimeout(timer);
		if (running)
			running.abort();
		const mine = running = new AbortController();
		const late = setTimeout(() => mine.abort(), TIMEOUT_MS);

		document.getElementById("list").setAttribute("aria-busy", "true");
		try {
			const answer = await fetch(location.pathname + location.search, {signal: mine.signal, cache: "no-store"});

			show(await answer.text());
		} catch (error) {
			if (mine === running && !failed_at)
				failed_at = Date.now();
		}
		clearTimeout(late);
		if (mine !== running)
			return; // a newer one took its place
		running = null;
		document.getElementById("list").removeAttribute("aria-busy");
		tell();
		timer = setTimeout(refresh, EVERY_MS);
	}

	// ---- how old is this ----

	function tell() {
		const s = Math.max(0, Math.round((Date.now() - read_at) / 1000));

		fresh.textContent = s < 2 ? "just now" : s + " s ago";
		lost.hidden = !failed_at;
		document.body.classList.toggle("old", failed_at !== 0);
		if (failed_at && !lost.textContent)
			lost.textContent = "The gateway's page does not answer. What you see is old. " +
				"Look at the other gateway's page, or run: systemctl status hagent-web";
		if (!failed_at)
			lost.textContent = "";
	}

	// ---- the traffic at one moment: the figures come when somebody points at the picture ----

	const SAMPLES = 360, traffic = document.getElementById("traffic");
	const reading = document.getElementById("reading");
	let figures = null, figures_at = 0, asking = false;

	async function ask_figures() {
		if (asking || Date.now() - figures_at < EVERY_MS)
			return;
		asking = true;
		try {
			figures = await (await fetch("/api/history", {cache: "no-store"})).json();
			figures_at = Date.now();
		} catch (error) {
			figures = null; // the page says itself that nobody answers
		}
		asking = false;
	}

	function in_words(octets) {
		const units = ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"];
		let n = octets * 8, i = 0;

		for (; n >= 999.5 && i < units.length - 1; i++)
			n /= 1000;
		return n.toFixed(i > 0 && n < 9.95 ? 1 : 0) + " " + units[i];
	}

	// The newest sample stands at the right edge.
	function read_off(x) {
		const list = figures.tx_octets || [], i = list.length - SAMPLES + Math.floor(x * SAMPLES);
		const s = (list.length - 1 - i) * (figures.step_s || 10);
		const ago = s < 60 ? s + " s ago" : Math.round(s / 60) + " min ago";

		if (i < 0 || i >= list.length || list[i] === null)
			return ago + ": not known";
		return ago + ": to clients " + in_words(list[i]) + ", from clients " + in_words(figures.rx_octets[i] || 0) +
			", " + (figures.sessions[i] || 0) + " sessions";
	}

	async function point(event) {
		const plot = event.target.closest && event.target.closest("svg.plot");

		if (!plot)
			return;
		await ask_figures();
		const place = plot.getBoundingClientRect();

		if (figures && place.width > 0)
			reading.textContent = read_off(Math.min(0.9999, Math.max(0, (event.clientX - place.left) / place.width)));
	}

	traffic.addEventListener("pointermove", point);
	traffic.addEventListener("pointerdown", point);
	traffic.addEventListener("pointerleave", () => {
		reading.textContent = "";
	});

	// ---- what people do ----

	document.addEventListener("click", event => {
		const link = event.target.closest("a[data-go]");

		if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0)
			return;
		event.preventDefault();
		if (link.hasAttribute("data-clear"))
			field.value = "";
		go(new URL(link.href).search.slice(1), true);
		follow();
	});
	form.addEventListener("submit", event => {
		event.preventDefault();
		search();
	});
	field.addEventListener("input", () => {
		clearTimeout(typing);
		typing = setTimeout(search, TYPING_MS);
	});
	addEventListener("popstate", () => {
		field.value = query().get("q") || "";
		follow();
		refresh();
	});
	document.addEventListener("keydown", event => {
		if (event.key !== "/" || event.target.closest("input, textarea") || event.ctrlKey || event.metaKey)
			return;
		event.preventDefault();
		field.focus();
	});
	// Nobody looks: nobody asks.
	document.addEventListener("visibilitychange", () => {
		if (document.hidden)
			clearTimeout(timer);
		else
			refresh();
	});
	setInterval(tell, 1000);
	tell();
	timer = setTimeout(refresh, EVERY_MS);
})();
