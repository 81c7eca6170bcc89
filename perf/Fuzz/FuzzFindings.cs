namespace Dbt.Perf.Fuzz;

/// <summary>
/// Writes the case that found something. The case under way lies in a file of its own from before it begins, so that it is there
/// even when the whole process dies by it; whoever runs the same kind next makes a finding of that.
/// </summary>
internal sealed class FuzzFindings : IDisposable
{
    private readonly string _kind;
    private readonly string _folder;
    private readonly FileStream _current;
    private byte[] _bytes = [];

    /// <param name="kind">The kind's name.</param>
    /// <param name="folder">Where findings go; made when it isn't there.</param>
    public FuzzFindings(string kind, string folder)
    {
        (_kind, _folder) = (kind, folder);
        Directory.CreateDirectory(folder);
        string current = Path.Combine(folder, $"{kind}-{Environment.ProcessId}.current");
        foreach (string left in Directory.EnumerateFiles(folder, $"{kind}-*.current"))
        {
            if (new FileInfo(left).Length > 0 && !IsAlive(left))
            {
                Save(File.ReadAllBytes(left), "the process died by it");
                File.Delete(left);
            }
        }

        _current = new FileStream(current, FileMode.Create, FileAccess.Write, FileShare.Read, bufferSize: 0, FileOptions.None);
        AppDomain.CurrentDomain.UnhandledException += OnUnhandled;
    }

    /// <summary>Files that were written.</summary>
    public List<string> Files { get; } = [];

    /// <summary>A case begins.</summary>
    public void Begin(byte[] bytes)
    {
        _bytes = bytes;
        _current.Position = 0;
        _current.Write(bytes);
        _current.SetLength(bytes.Length);
    }

    /// <summary>It ended well.</summary>
    public void End() => _current.SetLength(0);

    /// <summary>It found something.</summary>
    public void Write(string what)
    {
        Save(_bytes, what);
        End();
    }

    /// <summary>It found something that nothing can go on after.</summary>
    public void Fatal(string what)
    {
        Write(what);
        Console.Error.WriteLine($"fuzz: {what}; see {Files[^1]}");
        Environment.FailFast(what);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        AppDomain.CurrentDomain.UnhandledException -= OnUnhandled;
        string name = _current.Name;
        _current.Dispose();
        File.Delete(name);
    }

    private static bool IsAlive(string file)
    {
        string id = Path.GetFileNameWithoutExtension(file).Split('-')[^1];
        return File.Exists($"/proc/{id}/stat");
    }

    private void OnUnhandled(object sender, UnhandledExceptionEventArgs e) => Write(e.ExceptionObject.ToString() ?? "an exception");

    private void Save(byte[] bytes, string what)
    {
        string name = $"{_kind}-{Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes)).AsSpan(0, 12)}.hex";
        string path = Path.Combine(_folder, name);
        FuzzCase.Write(path, bytes, what);
        Files.Add(path);
    }
}
