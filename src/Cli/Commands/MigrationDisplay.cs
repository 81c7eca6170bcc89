using System.Globalization;
using Dbt.Cli.Api;

namespace Dbt.Cli.Commands;

/// <summary>How a migration is shown: a line that changes on a terminal; elsewhere, with -v, a line for each round.</summary>
internal sealed class MigrationDisplay(TextWriter writer, bool isTerminal, bool verbose) : IDisposable
{
    private uint _round;
    private int _shown;

    /// <summary>Shows how far it is.</summary>
    public void Show(MigrateProgress progress)
    {
        string line = Describe(progress);
        if (isTerminal && line.Length != 0)
        {
            writer.Write($"\r{line.PadRight(_shown)}");
            _shown = line.Length;
        }
        else if (verbose && progress.Round != _round && line.Length != 0)
        {
            writer.WriteLine(line);
        }

        _round = progress.Round;
        if (progress.Detail.Length != 0)
        {
            End();
            writer.WriteLine($"dbt: {progress.Detail}");
        }

        if (verbose && progress.Parts.Count != 0)
        {
            End();
            foreach (MigrateProgress.Types.Part part in progress.Parts)
            {
                writer.WriteLine(string.Create(CultureInfo.InvariantCulture, $"  {part.Milliseconds,8:0.00} ms  {part.What}"));
            }
        }
    }

    /// <summary>Ends the line.</summary>
    public void End()
    {
        if (_shown != 0)
        {
            writer.WriteLine();
            _shown = 0;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => End();

    private static string Describe(MigrateProgress progress)
    {
        const double mib = 1 << 20;
        return progress.Phase switch
        {
            MigrateProgress.Types.Phase.Preparing => "preparing",
            MigrateProgress.Types.Phase.Copying => string.Create(CultureInfo.InvariantCulture,
                $"round {progress.Round}: {progress.PagesLeft * 4096 / mib:0.0} MiB left, {progress.Bytes / mib:0} MiB sent, {progress.BytesPerSecond / mib:0} MiB/s; it would be held for {progress.PauseMilliseconds:0} ms"),
            MigrateProgress.Types.Phase.Holding => "held",
            MigrateProgress.Types.Phase.Asking => "the connection was lost; asking where it is",
            _ => "",
        };
    }
}
