using System.Text;
using Dbt.Cli.Packages;

namespace Dbt.Cli.Guests;

/// <summary>
/// dpkg's record of what was unpacked (/var/lib/dpkg), so that dpkg and apt in the guest know it. Packages are "unpacked" there, not
/// "installed": <c>dpkg --configure -a</c> in the guest runs the scripts that the host didn't.
/// </summary>
internal sealed class DpkgDatabase(RootTree root, string ownStanza)
{
    private const string Folder = "var/lib/dpkg";
    private const UnixFileMode Executable = (UnixFileMode)0x1ED, Plain = (UnixFileMode)0x1A4;

    private static readonly string[] Scripts = ["preinst", "postinst", "prerm", "postrm", "config"];

    private readonly StringBuilder _status = new(ownStanza);

    /// <summary>Unpacks a package into the root, and records it.</summary>
    public void Add(PackageFile package, CancellationToken cancellation)
    {
        var list = new StringBuilder();
        DebArchive.ReadFiles(package, entry =>
        {
            root.Add(entry);
            string path = entry.Name.TrimStart('.').TrimEnd('/');
            list.Append(path.Length == 0 ? "/." : path).Append('\n');
        }, cancellation);

        IReadOnlyDictionary<string, byte[]> control = DebArchive.ReadControl(package, cancellation);
        string stanza = Encoding.UTF8.GetString(control["control"]).Trim();
        bool shared = stanza.Split('\n').Any(line => line.StartsWith("Multi-Arch: same", StringComparison.Ordinal));
        string start = $"{Folder}/info/{package.Name}{(shared ? ":i386" : "")}";
        root.AddText($"{start}.list", list.ToString());
        foreach ((string name, byte[] bytes) in control.Where(file => file.Key is not "control"))
        {
            root.AddFile($"{start}.{name}", bytes, Scripts.Contains(name) ? Executable : Plain);
        }

        int end = stanza.IndexOf('\n', StringComparison.Ordinal);
        _status.Append(stanza[..end]).Append("\nStatus: install ok unpacked").Append(stanza[end..]).Append("\n\n");
    }

    /// <summary>Writes what all packages share.</summary>
    public void Write()
    {
        root.AddText($"{Folder}/status", _status.ToString());
        root.AddText($"{Folder}/available", "");

        root.AddText($"{Folder}/info/format", "1\n");
        root.AddDirectory($"{Folder}/updates");
        root.AddDirectory($"{Folder}/triggers");
    }
}
