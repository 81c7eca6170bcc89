using Dbt.Cli.Config;
using Dbt.Cli.Guests;

namespace Dbt.Cli.Commands;

/// <summary>Which guest the words of <c>dbt run</c> or <c>dbt create</c> mean.</summary>
/// <param name="File">A configuration file; null for none.</param>
/// <param name="Guest">One of <c>dbt guest</c>; null for none. Neither is the guest that is built in.</param>
/// <param name="Settings">key=value.</param>
internal sealed record GuestChoice(string? File, string? Guest, string[] Settings)
{
    /// <summary>What the words are called in help texts.</summary>
    public const string Words = "FILE.cfg|GUEST key=value";

    /// <summary>What help texts say of them.</summary>
    public const string Description = "A guest's configuration in xl.cfg's format, and settings that replace the file's. A guest of `dbt guest list` is run by its name. "
        + "Without either our own embedded guest runs.";

    /// <summary>Reads the words.</summary>
    /// <exception cref="ConfigException">There is an option among them.</exception>
    public static GuestChoice Parse(string command, string[] words)
    {
        if (Array.Find(words, word => word.StartsWith('-')) is string option)
        {
            throw new ConfigException($"unknown option {option}; see: dbt {command} --help");
        }

        if (words.Length > 0 && KnownGuests.IsNamed(words[0]))
        {
            return new GuestChoice(null, words[0], words[1..]);
        }

        bool named = words.Length > 0 && (!words[0].Contains('=', StringComparison.Ordinal) || System.IO.File.Exists(words[0]));
        return new GuestChoice(named ? words[0] : null, null, named ? words[1..] : words);
    }

    /// <summary>Fetches a guest of <c>dbt guest</c> that isn't there yet, unless nothing is to be done.</summary>
    /// <returns>The exit status.</returns>
    public static int FetchIfAbsent(string guest, bool dryRun)
    {
        GuestStore store = GuestStore.Default;
        return dryRun || store.Installed(guest) is not null || store.Fetched(guest) is not null ? ExitStatus.Success : Cancellable.Run(cancellation =>
        {
            KnownGuests.Fetch(guest, store, new GuestRequest([], null), cancellation);
            return ExitStatus.Success;
        });
    }
}
