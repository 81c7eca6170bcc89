using System.Runtime.InteropServices;

namespace Dbt.Cli.Terminal;

/// <summary>
/// Rows and columns of a terminal. A Xen console has no way to tell a guest of them, so a Linux guest gets those of its start in the
/// environment of its first program, where the kernel puts settings that it doesn't know; later <c>resize</c> in the guest asks the
/// terminal itself.
/// </summary>
/// <param name="Rows">Lines of text.</param>
/// <param name="Columns">Characters of a line.</param>
internal readonly partial record struct TerminalSize(int Rows, int Columns)
{
    private const int StandardOutput = 1;
    private const nuint GetWindowSize = 0x5413; // TIOCGWINSZ

    /// <summary>Standard output's; null where it is no terminal, or doesn't know.</summary>
    public static unsafe TerminalSize? OfStandardOutput()
    {
        ushort* size = stackalloc ushort[4]; // struct winsize: rows, columns, pixels
        return Control(StandardOutput, GetWindowSize, size) == 0 && size[0] != 0 && size[1] != 0 ? new TerminalSize(size[0], size[1]) : null;
    }

    /// <summary>A Linux kernel's command line with LINES and COLUMNS; others, and one that has them, as they are.</summary>
    public string AddTo(string commandLine)
    {
        string[] words = commandLine.Split(' ', StringSplitOptions.RemoveEmptyEntries);
        bool onHvc = Array.Exists(words, word => word.StartsWith("console=hvc", StringComparison.Ordinal));
        bool isSet = Array.Exists(words, word => word.StartsWith("LINES=", StringComparison.Ordinal) || word.StartsWith("COLUMNS=", StringComparison.Ordinal));

        // What stands behind "--" or "---" is for the first program alone, as arguments.
        return !onHvc || isSet || Array.Exists(words, word => word is "--" or "---") ? commandLine : FormattableString.Invariant($"{commandLine} LINES={Rows} COLUMNS={Columns}");
    }

    [LibraryImport("libc", EntryPoint = "ioctl")]
    private static unsafe partial int Control(int descriptor, nuint request, void* argument);
}
