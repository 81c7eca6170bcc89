using System.Globalization;
using System.Text;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Control;

/// <summary>
/// Where running guests are found: <c>$XDG_RUNTIME_DIR/dbt</c>, else <c>/tmp/dbt-UID</c>. The folder is its owner's alone, which is all
/// the protection that the sockets in it have, so one that isn't is not used. A guest's socket is named <c>NAME.PID.sock</c>,
/// the daemon's <c>dbtd.sock</c>.
/// </summary>
internal sealed class ControlFolder
{
    /// <summary>Longest path of a socket (sockaddr_un), its ending zero left out.</summary>
    public const int LongestPath = 107;

    private const string Suffix = ".sock";

    private ControlFolder(string path) => Path = path;

    /// <summary>The folder.</summary>
    public string Path { get; }

    /// <summary>Where this user's is.</summary>
    public static string DefaultPath => Environment.GetEnvironmentVariable("XDG_RUNTIME_DIR") is { Length: > 0 } runtime && Directory.Exists(runtime)
        ? System.IO.Path.Combine(runtime, "dbt")
        : string.Create(CultureInfo.InvariantCulture, $"/tmp/dbt-{PrivateFolder.User}");

    /// <summary>Opens a folder; it is made where it isn't there.</summary>
    /// <exception cref="IOException">It can't be made, or it isn't this user's alone.</exception>
    public static ControlFolder Open(string path)
    {
        PrivateFolder.Make(path, "set XDG_RUNTIME_DIR");
        return new ControlFolder(path);
    }

    /// <summary>The daemon's socket.</summary>
    public string DaemonSocket => System.IO.Path.Combine(Path, "dbtd" + Suffix);

    /// <summary>What the daemon holds locked while it runs, so that there is one.</summary>
    public string DaemonLock => System.IO.Path.Combine(Path, "dbtd.lock");

    /// <summary>The path for a socket of this process.</summary>
    public string SocketOf(string domain)
    {
        string end = string.Create(CultureInfo.InvariantCulture, $".{Environment.ProcessId}{Suffix}");
        var name = new StringBuilder();
        int room = LongestPath - Encoding.UTF8.GetByteCount(Path) - 1 - end.Length;
        foreach (char c in domain.AsSpan(0, Math.Min(domain.Length, Math.Max(room, 0))))
        {
            name.Append(IsPlain(c) ? c : '_');
        }

        return System.IO.Path.Combine(Path, name.Append(end).ToString());
    }

    /// <summary>The sockets there are, by process. What processes that are gone have left is removed.</summary>
    public IReadOnlyList<(string Path, int ProcessId)> Sockets()
    {
        var sockets = new List<(string, int)>();
        foreach (string path in Directory.EnumerateFiles(Path, "*" + Suffix).Order(StringComparer.Ordinal))
        {
            string stem = path[..^Suffix.Length];
            if (!int.TryParse(stem[(stem.LastIndexOf('.') + 1)..], NumberStyles.None, CultureInfo.InvariantCulture, out int process))
            {
                continue;
            }

            if (Directory.Exists(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}")))
            {
                sockets.Add((path, process));
            }
            else
            {
                File.Delete(path);
            }
        }

        return sockets;
    }

    private static bool IsPlain(char c) => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '+' or '.';
}
