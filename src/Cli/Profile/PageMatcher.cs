using System.Runtime.InteropServices;

namespace Dbt.Cli.Profile;

/// <summary>Where a page of the guest's memory comes from.</summary>
/// <param name="Program">The file.</param>
/// <param name="Address">The page's address as the file counts.</param>
internal sealed record PageOrigin(ElfProgram Program, uint Address);

/// <summary>
/// Finds the files of which pages of the guest's memory are copies: code is mapped from its file as it is, so equal bytes tell
/// file and place, whatever the address it was loaded at.
/// </summary>
internal sealed class PageMatcher
{
    private const uint PageBytes = 4096;

    private readonly IReadOnlyList<byte[]> _pages;
    private readonly PageOrigin?[] _origins;
    private readonly Dictionary<ulong, List<int>> _wanted = [];
    private int _open;

    /// <param name="pages">The pages.</param>
    /// <param name="isWanted">Whether a file is looked for at all, by number.</param>
    public PageMatcher(IReadOnlyList<byte[]> pages, Func<int, bool> isWanted)
    {
        _pages = pages;
        _origins = new PageOrigin?[pages.Count];
        for (int i = 0; i < pages.Count; i++)
        {
            // A page of one value is like many others.
            if (isWanted(i) && pages[i].AsSpan().ContainsAnyExcept(pages[i][0]))
            {
                ref List<int>? same = ref CollectionsMarshal.GetValueRefOrAddDefault(_wanted, Key(pages[i]), out _);
                (same ??= []).Add(i);
                _open++;
            }
        }
    }

    /// <summary>Whether all that can be found is.</summary>
    public bool IsDone => _open == 0;

    /// <summary>Where a page comes from; null while that isn't known.</summary>
    public PageOrigin? this[int page] => (uint)page < (uint)_origins.Length ? _origins[page] : null;

    /// <summary>Looks for pages in a file.</summary>
    /// <returns>How many it explained.</returns>
    public int Look(ElfProgram program)
    {
        int before = _open;
        foreach ((uint offset, uint address, uint length) in program.Code)
        {
            for (uint at = offset & ~(PageBytes - 1); at < offset + length && !IsDone; at += PageBytes)
            {
                if (_wanted.TryGetValue(Key(program.Bytes(at)), out List<int>? candidates))
                {
                    Take(program, candidates, at, address + (at - offset));
                }
            }
        }

        return before - _open;
    }

    private void Take(ElfProgram program, List<int> candidates, uint offset, uint address)
    {
        foreach (int page in candidates)
        {
            if (_origins[page] is null && program.IsPage(offset, _pages[page]))
            {
                _origins[page] = new PageOrigin(program, address);
                _open--;
            }
        }
    }

    // Of the page's first part only, so that the last page of a file, which is shorter, has one too.
    private static ulong Key(ReadOnlySpan<byte> page)
    {
        ulong hash = 14695981039346656037;
        foreach (ulong word in MemoryMarshal.Cast<byte, ulong>(page[..Math.Min(page.Length, 64)]))
        {
            hash = (hash ^ word) * 1099511628211;
        }

        return hash;
    }
}
