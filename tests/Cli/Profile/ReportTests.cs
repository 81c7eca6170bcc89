using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Dbt.Cli.Profile;
using Dbt.Cli.Running;
using Dbt.Translator.Diagnostics;
using Dbt.Xen.Diagnostics;
using Spectre.Console;

namespace Dbt.Tests.Cli.Profile;

/// <summary>What is made of a recording.</summary>
public sealed partial class ReportTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-report").FullName;
    private readonly ProfileRecording _recording = new() { Seconds = 2 };
    private readonly Symboliser _symbols;
    private readonly ProfileSummary _summary;

    public ReportTests()
    {
        uint sum = Function("sum"), main = Function("kernel_main");
        _recording.Facts[GuestFacts.Name] = "a <guest>";
        _recording.Facts[GuestFacts.Kernel] = GuestFacts.Embedded;
        _recording.Processors[0] = "a <guest>/vcpu0";
        _recording.Add(1000, Enumerable.Repeat(Record(ProcessorActivity.Optimised, sum + 0x10), 600).ToArray());
        _recording.Add(1600, Enumerable.Repeat(Record(ProcessorActivity.Interpreting, main + 4), 200).ToArray());
        _recording.Add(1800, Enumerable.Repeat(Record(ProcessorActivity.Hypercall, main, detail: 29), 100).ToArray());
        _recording.Add(1900, Enumerable.Repeat(Record(ProcessorActivity.Idle, main), 100).ToArray());
        _recording.SetTotal("exit:tlb-miss-read", 100, first: true);
        _recording.SetTotal("exit:tlb-miss-read", 300, first: false);
        _recording.SetTotal("hypercall:sched_op", 50, first: false);
        for (int second = 0; second < 3; second++)
        {
            _recording.AddCounter("instructions-optimised", new CounterValue(second, 1e6 * second));
            _recording.AddCounter("look-ups", new CounterValue(second, 500));
        }

        _recording.Compilations.Add(new Compilation(0.5, sum, true, 30, 2000, 7.5));
        _symbols = new Symboliser(_recording, null, []);
        _summary = ProfileSummary.Of(_recording, _symbols, new ProfileTarget(4711, "4711"));
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [Fact]
    public void TimeIsSharedOut()
    {
        Assert.Equal("a <guest>", _summary.Guest);
        Assert.Equal([("guest: optimised regions", 0.6), ("guest: interpreted", 0.2), ("hypercall: sched_op", 0.1), ("idle", 0.1)],
            _summary.Activities.Select(share => (share.Name, Math.Round(share.Share, 3))).ToArray());
        Assert.Equal((0.9, 1.0), (Math.Round(_summary.BusySeconds, 3), Math.Round(_summary.TotalSeconds, 3)));
        Assert.Equal([("sum", 0.667, 1.0), ("kernel_main", 0.222, 0.0)],
            _summary.Functions.Select(share => (share.Place.Function, Math.Round(share.Share, 3), share.Optimised)).ToArray());
        Assert.Equal(Function("sum") + 0x10, _summary.Blocks[0].Address);
        Assert.Equal([new EventCount("tlb-miss-read", 200, 100)], _summary.SideExits);
        Assert.Equal([new EventCount("sched_op", 50, 25)], _summary.Hypercalls);
    }

    [Fact]
    public void TheTerminalShowsIt()
    {
        var text = new StringWriter();
        IAnsiConsole console = AnsiConsole.Create(new AnsiConsoleSettings { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(text) });
        console.Profile.Width = 120;
        TerminalReport.Write(console, _summary, 20);
        Assert.Matches(@"66\.7 % +sum +kernel +optimised", text.ToString());
        Assert.Matches(@"10\.0 % +0\.100 +hypercall: sched_op", text.ToString());
        Assert.Contains("tlb-miss-read", text.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void ThePageRefersToNothingOutsideItself()
    {
        string path = Path.Combine(_folder, "page.html");
        HtmlReport.Write(path, _recording, _summary);
        string page = File.ReadAllText(path);
        Assert.All(Reference().Matches(page), reference => Assert.StartsWith("data:image/svg+xml;base64,", reference.Groups[1].Value, StringComparison.Ordinal));
        Assert.True(Reference().Count(page) >= 3, "no plots");
        foreach (string outside in (string[])["<script", "<link", "<iframe", "@import", "url(", "href", "http"])
        {
            Assert.DoesNotContain(outside, page, StringComparison.OrdinalIgnoreCase);
        }

        Assert.Contains("a &lt;guest&gt;", page, StringComparison.Ordinal);
        Assert.DoesNotContain("<guest>", page, StringComparison.Ordinal);
        foreach (Match picture in Reference().Matches(page))
        {
            string svg = System.Text.Encoding.UTF8.GetString(Convert.FromBase64String(picture.Groups[1].Value["data:image/svg+xml;base64,".Length..]));
            Assert.Equal("svg", System.Xml.Linq.XDocument.Parse(svg).Root!.Name.LocalName);
        }
    }

    [Fact]
    public void SpeedscopeGetsAStackForEachSample()
    {
        string path = Path.Combine(_folder, "scope.json");
        SpeedscopeFile.Write(path, _recording, _symbols, _summary.Guest);
        JsonNode root = JsonNode.Parse(File.ReadAllText(path))!;
        JsonNode profile = root["profiles"]![0]!;
        Assert.Equal(("sampled", "microseconds"), ((string)profile["type"]!, (string)profile["unit"]!));
        JsonArray samples = profile["samples"]!.AsArray(), weights = profile["weights"]!.AsArray(), frames = root["shared"]!["frames"]!.AsArray();
        Assert.Equal((1000, 1000), (samples.Count, weights.Count));
        Assert.Equal((long)profile["endValue"]!, weights.Sum(weight => (long)weight!));
        Assert.All(samples, stack => Assert.All(stack!.AsArray(), frame => Assert.InRange((int)frame!, 0, frames.Count - 1)));
        Assert.Equal(["kernel", "kernel", "sum [kernel]", $"{Function("sum") + 0x10:x8} optimised regions"],
            samples[0]!.AsArray().Select(frame => (string)frames[(int)frame!]!["name"]!));
    }

    [Fact]
    public void PerfGetsTheGuestsNames()
    {
        uint sum = Function("sum");
        _recording.Methods.Add(new HostMethod(0x7000_1000, 0x40, "g_00000001"));
        _recording.Methods.Add(new HostMethod(0x7000_1000, 0x80, $"dynamicClass::g_{sum + 0x10:x8}"));
        _recording.Methods.Add(new HostMethod(0x7000_0000, 0x40, "Dbt.Xen.Vcpu::Attend"));
        string path = Path.Combine(_folder, "perf.map");
        Assert.Equal(1, PerfMapFile.Write(path, _recording, _symbols));
        string[] lines = File.ReadAllLines(path);
        Assert.Equal("70000000 40 Dbt.Xen.Vcpu::Attend", lines[0]);
        Assert.StartsWith($"70001000 80 guest:{sum + 0x10:x8} sum+0x10/0x", lines[1], StringComparison.Ordinal);
    }

    [Fact]
    public void ProgramsGetJson()
    {
        string path = Path.Combine(_folder, "report.json");
        JsonReport.Write(path, _summary);
        using JsonDocument json = JsonDocument.Parse(File.ReadAllText(path));
        Assert.Equal("sum", json.RootElement.GetProperty("functions")[0].GetProperty("place").GetProperty("function").GetString());
        Assert.Equal(3, json.RootElement.GetProperty("counters").GetProperty("look-ups").GetArrayLength());
    }

    private static SampleRecord Record(ProcessorActivity doing, uint address, ushort detail = 0) =>
        new() { Doing = (byte)doing, Cpl = 1, Detail = detail, Weight = 1000, Address = address, Frame = SampleRecord.NoFrame };

    private static uint Function(string name)
    {
        // The guest's own table tells names by address only.
        SymbolTable table = SymbolTable.ReadKernel(EmbeddedGuest.Load())!;
        for (uint address = 0xC010_0000; address < 0xC020_0000; address += 4)
        {
            if (table.Find(address) is { } found && found.Name == name)
            {
                return found.Start;
            }
        }

        throw new InvalidOperationException(name);
    }

    [GeneratedRegex("src=\"([^\"]*)\"")]
    private static partial Regex Reference();
}
