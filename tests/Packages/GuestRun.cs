using System.Text;
using Dbt.Cli.Config;
using Dbt.Cli.Running;
using Dbt.Cli.Terminal;
using Dbt.Translator;

namespace Dbt.Tests.Packages;

/// <summary>One run of a guest, typed to from a text.</summary>
internal static class GuestRun
{
    /// <summary>Runs it to its end.</summary>
    /// <returns>Exit status, console without carriage returns, and what standard error would show.</returns>
    public static async Task<(int Status, string Console, string Errors)> RunAsync(GuestConfig config, EngineKind engine, string input, TimeSpan limit)
    {
        var output = new MemoryStream();
        var errors = new StringWriter();
        using var runner = new GuestRunner(
            config,
            new RunOptions { Engine = engine, Timeout = limit },
            output,
            TextWriter.Synchronized(errors),
            _ => new InputPump(new MemoryStream(Encoding.ASCII.GetBytes(input)), onEscape: null));
        int status = await runner.RunAsync();
        return (status, Encoding.Latin1.GetString(output.ToArray()).Replace("\r", "", StringComparison.Ordinal), errors.ToString());
    }
}
