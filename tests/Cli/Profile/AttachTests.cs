using System.Diagnostics;
using Dbt.Cli;
using Dbt.Cli.Profile;
using Dbt.Translator.Diagnostics;

namespace Dbt.Tests.Cli.Profile;

/// <summary>A session on a real process that runs our own guest.</summary>
public sealed class AttachTests : IDisposable
{
    private static readonly string Command = typeof(CommandLine).Assembly.Location;

    private readonly string _folder = Directory.CreateTempSubdirectory("dbt-attach").FullName;
    private readonly Process _guest;

    public AttachTests()
    {
        _guest = Start("run", "name=busy", "memory=32", "--timeout", "300");
        var prompt = new System.Text.StringBuilder();
        while (!prompt.ToString().EndsWith("dbt> ", StringComparison.Ordinal) && _guest.StandardOutput.Read() is >= 0 and int character)
        {
            prompt.Append((char)character);
        }
    }

    public void Dispose()
    {
        _guest.Kill();
        _guest.WaitForExit();
        _guest.Dispose();
        Directory.Delete(_folder, recursive: true);
    }

    [Fact]
    public void TheHotFunctionOfARunningGuestIsNamed()
    {
        _guest.StandardInput.Write("bench sum 100000000\n");
        _guest.StandardInput.Flush();
        ProfileSummary summary;
        using (ProfileSession session = ProfileSession.Attach(new ProfileTarget(_guest.Id, "busy"), 500, methods: true))
        {
            session.AwaitGuest(_guest.Id, TimeSpan.FromMinutes(1));
            Assert.True(SpinWait.SpinUntil(() => InGuest(session.Recording) > 300 && HasCounters(session.Recording), TimeSpan.FromMinutes(2)), "no samples in the guest");
            session.Stop();
            var symbols = new Symboliser(session.Recording, null, []);
            summary = ProfileSummary.Of(session.Recording, symbols, new ProfileTarget(_guest.Id, "busy"));
            Assert.Contains(session.Recording.Methods, static method => method.Name.StartsWith("g_", StringComparison.Ordinal) && method.Size > 0);
            Assert.True(PerfMapFile.Write(Path.Combine(_folder, "map"), session.Recording, symbols) > 0, "no translation in perf's map");
        }

        Assert.Equal("busy", summary.Guest);
        Assert.Equal("sum", summary.Functions[0].Place.Function);
        Assert.True(summary.Functions[0].Share > 0.5, $"{summary.Functions[0]}");
        Assert.True(summary.Counters["instructions-optimised"].Max(value => value.Value) > 1e6, "the counter of optimised code does not move");
        Assert.Matches(@"guest:[0-9a-f]{8} sum\b", File.ReadAllText(Path.Combine(_folder, "map")));
        Assert.False(_guest.HasExited);

        // A second session after the first, by the command itself.
        using Process profile = Start("profile", "busy", "--seconds", "3", "--top", "5", "--html", Path.Combine(_folder, "page.html"));
        string report = profile.StandardOutput.ReadToEnd(), errors = profile.StandardError.ReadToEnd();
        profile.WaitForExit();
        Assert.True(profile.ExitCode == ExitStatus.Success, errors);
        Assert.Matches(@" % +sum +kernel", report);
        Assert.True(new FileInfo(Path.Combine(_folder, "page.html")).Length > 10_000);

        using Process list = Start("profile", "busy", "--block", $"{summary.Blocks[0].Address:x8}");
        string listing = list.StandardOutput.ReadToEnd();
        errors = list.StandardError.ReadToEnd();
        list.WaitForExit();
        Assert.True(list.ExitCode == ExitStatus.Success, errors);
        Assert.Contains($"{summary.Blocks[0].Address:x8}", listing, StringComparison.Ordinal);
        Assert.Contains("Host code", listing, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("999999999", "there is no guest and no process 999999999")]
    [InlineData("1", "process 1 can't be attached to")]
    [InlineData("nobody", "nobody is an invalid domain identifier")]
    public void WhatCannotBeAttachedToIsTold(string word, string expected)
    {
        using Process profile = Start("profile", word, "--seconds", "1");
        string errors = profile.StandardError.ReadToEnd();
        profile.WaitForExit();
        Assert.Equal(ExitStatus.Failure, profile.ExitCode);
        Assert.Contains(expected, errors, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", errors, StringComparison.Ordinal);
    }

    private Process Start(params string[] words)
    {
        var start = new ProcessStartInfo("dotnet", [Command, .. words]) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment["XDG_RUNTIME_DIR"] = _folder;

        // Of code that another run has kept the runtime knows no method, and perf's map no name.
        start.Environment["XDG_CACHE_HOME"] = _folder;
        return Process.Start(start)!;
    }

    private static int InGuest(ProfileRecording recording)
    {
        lock (recording.Lock)
        {
            return recording.Samples.Count(sample => (ProcessorActivity)sample.Record.Doing is ProcessorActivity.Optimised);
        }
    }

    private static bool HasCounters(ProfileRecording recording)
    {
        lock (recording.Lock)
        {
            return recording.Counters.TryGetValue("instructions-optimised", out List<CounterValue>? values) && values.Exists(value => value.Value > 1e6);
        }
    }
}
