"""Scripts that look at a page: texts of low contrast, and what is too small to hit."""

CONTRASTS = """() => {
    const canvas = document.createElement('canvas').getContext(
        '2d', {willReadFrequently: true});
    const rgb = (colour) => {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = colour;
        canvas.fillRect(0, 0, 1, 1);
        return [...canvas.getImageData(0, 0, 1, 1).data];
    };
    const light = (colour) => colour.slice(0, 3).map((each) => each / 255).map((each) =>
        each <= 0.04045 ? each / 12.92 : ((each + 0.055) / 1.055) ** 2.4
    ).reduce((sum, each, at) => sum + each * [0.2126, 0.7152, 0.0722][at], 0);
    const ground = (node) => {
        for (let each = node; each; each = each.parentElement) {
            const colour = rgb(getComputedStyle(each).backgroundColor);
            if (colour[3] === 255) return colour;
        }
        return [255, 255, 255, 255];
    };
    const low = [];
    for (const node of document.querySelectorAll('*')) {
        const own = [...node.childNodes].some((each) =>
            each.nodeType === 3 && each.textContent.trim());
        if (!own || !node.checkVisibility() || node.disabled) continue;
        if (node.closest('button:disabled, noscript, option')) continue;
        const [a, b] = [light(rgb(getComputedStyle(node).color)), light(ground(node))];
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (ratio < 4.5) low.push([node.outerHTML.slice(0, 90), ratio]);
    }
    return low;
}"""
SMALL = """nodes => nodes.filter((node) => node.checkVisibility()).map((node) =>
    [node.id || node.className || node.name, node.getBoundingClientRect()]
).filter(([, box]) => box.width < 43.9 || box.height < 43.9).map(([name]) => name)"""
