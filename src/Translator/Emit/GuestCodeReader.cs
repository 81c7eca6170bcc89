using Dbt.Translator.Memory;
using Dbt.Translator.State;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>
/// Reads code bytes through the software TLB's execute entries. Pages without one are not read: what has not been executed
/// yet must not be made present by a translator that looks ahead.
/// </summary>
/// <param name="cpu">The processor.</param>
/// <param name="protect">Called with the host address of each page before its bytes are read: writes to it must be noticed from then on.</param>
internal sealed unsafe class GuestCodeReader(CpuState* cpu, Action<nint> protect) : CodeReader
{
    private readonly Dictionary<uint, long> _pages = [];
    private readonly byte[] _bytes = new byte[16];
    private uint _page = uint.MaxValue;
    private uint _position;
    private int _count;
    private long _entry;

    /// <summary>Linear address of the next byte.</summary>
    public uint Position
    {
        get => _position;
        set
        {
            _position = value;
            _count = 0;
        }
    }

    /// <summary>What has been read since <see cref="Position"/> was set: the bytes of one instruction.</summary>
    public ReadOnlySpan<byte> Bytes => _bytes.AsSpan(0, _count);

    /// <summary>The pages seen since the last <see cref="Reset"/>, with their entries; absent pages have entry 0.</summary>
    public IReadOnlyDictionary<uint, long> Pages => _pages;

    /// <summary>Forgets the pages.</summary>
    public void Reset()
    {
        _pages.Clear();
        _page = uint.MaxValue;
    }

    /// <summary>The execute entry of a page, 0 where it has none; the page is protected from then on.</summary>
    public long Entry(uint page)
    {
        if (!_pages.TryGetValue(page, out long entry))
        {
            entry = *(long*)(cpu->Tlb + (2L * SoftwareTlb.TableBytes) + ((long)page * 8));
            if (entry != 0)
            {
                protect((nint)(entry + ((long)page << 12)));
            }

            _pages.Add(page, entry);
        }

        return entry;
    }

    /// <inheritdoc/>
    public override int ReadByte()
    {
        uint page = Position >> 12;
        if (page != _page)
        {
            _entry = Entry(page);
            _page = page;
        }

        if (_entry == 0)
        {
            return -1;
        }

        byte value = *(byte*)(_entry + _position++);
        _bytes[_count++ & 15] = value;
        return value;
    }
}
