using System.Globalization;
using System.Text;

namespace Dbt.Cli.Hosting;

/// <summary>Lines with the time before each, one writer at a time.</summary>
internal sealed class DaemonLog(TextWriter target) : TextWriter
{
    // What more than this is left of earlier runs is put aside when a daemon starts.
    private const long MostBytes = 1 << 20;

    private readonly Lock _lock = new();

    /// <inheritdoc/>
    public override Encoding Encoding => Encoding.UTF8;

    /// <summary>Puts a long log aside, in place of the one before.</summary>
    public static void Rotate(string path)
    {
        var file = new FileInfo(path);
        if (file.Exists && file.Length > MostBytes)
        {
            File.Move(path, path + ".1", overwrite: true);
        }
    }

    /// <inheritdoc/>
    public override void WriteLine(string? value) => Write(value + "\n");

    /// <inheritdoc/>
    public override void Write(string? value)
    {
        string time = DateTime.Now.ToString("yyyy-MM-dd HH:mm:ss", CultureInfo.InvariantCulture);
        lock (_lock)
        {
            foreach (string line in (value ?? "").TrimEnd('\n').Split('\n'))
            {
                target.WriteLine($"{time} {line.TrimEnd('\r')}");
            }

            target.Flush();
        }
    }

    /// <inheritdoc/>
    public override void Write(char value) => Write(value.ToString());
}
