using Dbt.Translator.Cache;

namespace Dbt.Cli.Running;

/// <summary>
/// The compiled code of a guest's kernel and programs, from its earlier runs and for later ones. What can't be read or written costs time only: a
/// line in the log says so.
/// </summary>
internal sealed class CodeKeeper : IDisposable
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(30);

    private readonly Lock _saving = new();
    private readonly string _path;
    private readonly string _title;
    private readonly Action<string> _log;
    private readonly Timer _timer;
    private Task _loading = Task.CompletedTask;
    private long _saved;
    private DateTime _written;

    private CodeKeeper(string path, string title, Action<string> log)
    {
        _path = path;
        _title = title;
        _log = log;
        _timer = new Timer(_ => Save(), null, Interval, Interval);
    }

    /// <summary>What the guest's engines share.</summary>
    public CodeStore Store { get; } = new();

    /// <summary>Reads what there is for a kernel.</summary>
    /// <param name="folder">Where it is kept.</param>
    /// <param name="digest">The SHA-256 of the kernel's file.</param>
    /// <param name="title">Its name, for listings.</param>
    /// <param name="log">Gets what goes wrong.</param>
    /// <returns>Null where nothing can be kept there. The reading goes on meanwhile: <see cref="Wait"/>.</returns>
    public static CodeKeeper? Open(CodeFolder folder, ReadOnlySpan<byte> digest, string title, Action<string> log)
    {
        try
        {
            folder.Make();
        }
        catch (IOException exception)
        {
            log($"compiled code is not kept: {exception.Message}");
            return null;
        }

        var code = new CodeKeeper(folder.FileOfDigest(digest), title, log);
        code._loading = Task.Run(code.Load);
        return code;
    }

    /// <summary>Waits until what there was has been read.</summary>
    public void Wait() => _loading.GetAwaiter().GetResult();

    /// <summary>Writes it, if anything was compiled since it was last written. Any thread.</summary>
    public void Save()
    {
        lock (_saving)
        {
            Wait();
            long additions = Store.Additions;
            if (additions == _saved)
            {
                return;
            }

            try
            {
                // Another run of the same kernel may have written it meanwhile.
                if (File.Exists(_path) && File.GetLastWriteTimeUtc(_path) != _written)
                {
                    Load();
                }

                CodeStoreFile.Save(_path, _title, Store);
                _written = File.GetLastWriteTimeUtc(_path);
                _saved = additions;
            }
            catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
            {
                _log($"compiled code can't be kept: {exception.Message}");
            }
        }
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _timer.Dispose();
        Save();
    }

    private void Load()
    {
        if (!File.Exists(_path))
        {
            return;
        }

        try
        {
            _written = File.GetLastWriteTimeUtc(_path);
            CodeStoreFile.Load(_path, Store);
        }
        catch (Exception exception) when (exception is IOException or InvalidDataException or UnauthorizedAccessException)
        {
            _log($"compiled code in {_path} is ignored: {exception.Message}");
        }
    }
}
