using System.Runtime.InteropServices;
using Dbt.Translator.Memory;

namespace Dbt.Translator.Protection;

/// <summary>A page that was used in an address space.</summary>
/// <param name="Page">Linear page.</param>
internal record struct UsedPage(uint Page)
{
    /// <summary>What for: a bit for each <see cref="MemoryAccess"/>, those of ring 3 from <see cref="RecentSpaces.UserShift"/> on.</summary>
    public byte Kinds;

    /// <summary>How many times more it is filled with nobody asking for it.</summary>
    public byte Left;
}

/// <summary>
/// Which pages a processor used in the address spaces that it was in last. MOV to CR3 drops all entries but global ones, and each page that is touched afterwards costs a way out of translated
/// code and a walk; so those of the space that is entered are walked at once. Remembered are numbers of pages, and nothing of what was mapped there. One thread's.
/// </summary>
internal sealed class RecentSpaces
{
    /// <summary>Distance between the bits of rings 0 to 2 and those of ring 3 in <see cref="UsedPage.Kinds"/>.</summary>
    public const int UserShift = 3;

    private const int MostSpaces = 32, MostPages = 512;

    // Whether a page that was filled beforehand is used can't be seen. After so many entries of its space it is left out, and comes back by the miss that follows if it is.
    private const byte Entries = 8;

    private readonly Dictionary<uint, Space> _spaces = [];
    private Space? _current;
    private long _clock;

    /// <summary>An entry of a page was asked for, and filled.</summary>
    public void Note(uint page, MemoryAccess access, bool user)
    {
        if (_current is not { } space)
        {
            return;
        }

        ref int at = ref CollectionsMarshal.GetValueRefOrAddDefault(space.Places, page, out bool known);
        if (!known)
        {
            if (space.Pages.Count == MostPages)
            {
                space.Places.Remove(page);
                return;
            }

            at = space.Pages.Count;
            space.Pages.Add(new UsedPage(page));
        }

        ref UsedPage used = ref CollectionsMarshal.AsSpan(space.Pages)[at];
        used.Kinds |= (byte)(1 << ((int)access + (user ? UserShift : 0)));
        used.Left = Entries;
    }

    /// <summary>The processor enters an address space.</summary>
    /// <param name="cr3">Which.</param>
    /// <returns>The pages that are to be filled; good until the next call.</returns>
    public ReadOnlySpan<UsedPage> Enter(uint cr3)
    {
        if (!_spaces.TryGetValue(cr3, out Space? space))
        {
            if (_spaces.Count == MostSpaces)
            {
                _spaces.Remove(_spaces.MinBy(static known => known.Value.Entered).Key);
            }

            space = new Space();
            _spaces.Add(cr3, space);
        }

        space.Entered = ++_clock;
        _current = space;
        space.Age();
        return CollectionsMarshal.AsSpan(space.Pages);
    }

    /// <summary>Forgets everything.</summary>
    public void Clear()
    {
        _spaces.Clear();
        _current = null;
    }

    private sealed class Space
    {
        public long Entered { get; set; }

        public List<UsedPage> Pages { get; } = [];

        public Dictionary<uint, int> Places { get; } = [];

        public void Age()
        {
            bool anyOld = false;
            foreach (ref UsedPage page in CollectionsMarshal.AsSpan(Pages))
            {
                anyOld |= page.Left == 0;
                page.Left -= (byte)(page.Left == 0 ? 0 : 1);
            }

            if (anyOld)
            {
                Pages.RemoveAll(static page => page.Left == 0);
                Places.Clear();
                for (int i = 0; i < Pages.Count; i++)
                {
                    Places[Pages[i].Page] = i;
                }
            }
        }
    }
}
