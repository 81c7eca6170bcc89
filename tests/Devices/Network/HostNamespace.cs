using System.Diagnostics;
using System.Globalization;

namespace Dbt.Tests.Devices.Network;

/// <summary>A network namespace of the host for one test; removed with it.</summary>
internal sealed class HostNamespace : IDisposable
{
    private static int _next;

    public HostNamespace() => WhyNot = Ip("netns", "add", Name) is { Status: not 0 } failed ? failed.Output.Trim() : null;

    /// <summary>Unlike any other of this machine.</summary>
    public string Name { get; } = string.Create(CultureInfo.InvariantCulture, $"dbt-{Environment.ProcessId}-{Interlocked.Increment(ref _next)}");

    /// <summary>Why there is none; null where there is.</summary>
    public string? WhyNot { get; }

    /// <summary>Runs a program of the host.</summary>
    public static (int Status, string Output) Run(string program, params IEnumerable<string> arguments)
    {
        using Process process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Task<string> errors = process.StandardError.ReadToEndAsync();
        string output = process.StandardOutput.ReadToEnd() + errors.GetAwaiter().GetResult();
        process.WaitForExit();
        return (process.ExitCode, output);
    }

    /// <summary>Runs <c>ip</c>.</summary>
    public static (int Status, string Output) Ip(params IEnumerable<string> arguments) => Run("ip", arguments);

    /// <summary>Runs a program in the namespace.</summary>
    public (int Status, string Output) Inside(params IEnumerable<string> command) => Ip(["netns", "exec", Name, .. command]);

    /// <summary>Moves an interface into it, gives it an address, and brings it up.</summary>
    public void Take(string device, string address)
    {
        foreach (string[] arguments in (string[][])[["link", "set", device, "netns", Name], ["-n", Name, "addr", "add", address, "dev", device],
            ["-n", Name, "link", "set", device, "up"]])
        {
            (int status, string output) = Ip(arguments);
            Assert.True(status == 0, $"ip {string.Join(' ', arguments)}: {output}");
        }
    }

    public void Dispose()
    {
        if (WhyNot is null)
        {
            Ip("netns", "del", Name);
        }
    }
}
