using Dbt.Translator.Cache;

namespace Dbt.Cli.Running;

/// <summary>
/// Compiled code of the guests of one process: those with the same kernel have it together, so that what one of them had compiled the others take
/// over. It is read when the first of them comes, and written for good when the last has gone. Any thread.
/// </summary>
internal sealed class SharedCode
{
    private readonly Lock _lock = new();
    private readonly Dictionary<string, Entry> _entries = [];

    /// <summary>Joins those with the same kernel.</summary>
    /// <param name="folder">Where it is kept between runs; null for a guest whose code is its own and is not kept.</param>
    /// <param name="kernelDigest">The SHA-256 of its kernel's file.</param>
    /// <param name="title">The kernel's name, for listings.</param>
    /// <param name="log">Gets what goes wrong.</param>
    public Lease Join(CodeFolder? folder, byte[] kernelDigest, string title, Action<string> log)
    {
        if (folder is null)
        {
            return new Lease(new CodeStore(), static () => { }, static () => { });
        }

        string key = folder.FileOfDigest(kernelDigest);
        lock (_lock)
        {
            if (!_entries.TryGetValue(key, out Entry? entry))
            {
                CodeKeeper? kept = CodeKeeper.Open(folder, kernelDigest, title, log);
                entry = new Entry(kept, kept?.Store ?? new CodeStore());
                _entries.Add(key, entry);
            }

            entry.Users++;
            return new Lease(entry.Store, () => Leave(key), () => entry.Kept?.Wait());
        }
    }

    private void Leave(string key)
    {
        lock (_lock)
        {
            Entry entry = _entries[key];
            if (--entry.Users == 0)
            {
                _entries.Remove(key);
                entry.Kept?.Dispose();
            }
        }
    }

    /// <summary>One guest's part in it; dispose when the guest has ended, once.</summary>
    internal sealed class Lease(CodeStore store, Action leave, Action wait) : IDisposable
    {
        /// <summary>The code.</summary>
        public CodeStore Store => store;

        /// <summary>Waits until what is kept of it has been read.</summary>
        public void Wait() => wait();

        /// <inheritdoc/>
        public void Dispose() => leave();
    }

    private sealed class Entry(CodeKeeper? kept, CodeStore store)
    {
        public CodeKeeper? Kept => kept;

        public CodeStore Store => store;

        public int Users { get; set; }
    }
}
