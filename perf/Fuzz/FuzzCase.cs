namespace Dbt.Perf.Fuzz;

/// <summary>
/// A case as a text file: lines that begin with # say what it is for, the others are bytes in hexadecimal. Its name begins with the kind:
/// <c>hypercall-grant-of-nobody.hex</c>.
/// </summary>
internal static class FuzzCase
{
    private const int BytesPerLine = 64;

    /// <summary>Writes a case.</summary>
    public static void Write(string path, byte[] bytes, string comment)
    {
        using StreamWriter file = File.CreateText(path);
        foreach (string line in comment.Split('\n'))
        {
            file.WriteLine($"# {line.TrimEnd()}");
        }

        foreach (byte[] line in bytes.Chunk(BytesPerLine))
        {
            file.WriteLine(Convert.ToHexStringLower(line));
        }
    }

    /// <summary>Reads a case.</summary>
    /// <exception cref="FormatException">It is no such file.</exception>
    public static byte[] Read(string path) =>
        Convert.FromHexString(string.Concat(File.ReadLines(path).Where(line => !line.StartsWith('#')).Select(line => line.Trim())));

    /// <summary>The kind that a file is of.</summary>
    public static string KindOf(string path) => Path.GetFileName(path).Split('-', '.')[0];
}
