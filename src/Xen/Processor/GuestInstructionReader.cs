using Dbt.Translator.State;
using Dbt.Xen.Memory;
using Iced.Intel;

namespace Dbt.Xen.Processor;

/// <summary>
/// Decodes the instruction at EIP from guest memory, for the hypervisor's emulations. The bytes are fetched once; what is emulated is
/// what was decoded, even where another processor writes the code meanwhile.
/// </summary>
internal sealed unsafe class GuestInstructionReader : CodeReader
{
    private const int MaxLength = 15;

    private readonly byte[] _bytes = new byte[MaxLength];
    private readonly Vcpu _vcpu;
    private readonly Decoder _decoder16, _decoder32;
    private int _length, _position;

    public GuestInstructionReader(Vcpu vcpu)
    {
        _vcpu = vcpu;
        _decoder16 = Decoder.Create(16, this);
        _decoder32 = Decoder.Create(32, this);
    }

    /// <summary>Decodes the instruction <paramref name="skip"/> bytes after EIP.</summary>
    /// <returns>False where it can't be fetched or is no instruction.</returns>
    public bool TryDecode(out Instruction instruction, uint skip = 0)
    {
        CpuState* cpu = _vcpu.State;
        _length = Fetch(cpu->Eip + skip, _bytes);
        _position = 0;
        Decoder decoder = cpu->Segments[SegmentIndex.Cs].Is32Bit ? _decoder32 : _decoder16;
        decoder.IP = cpu->Eip + skip;
        decoder.Decode(out instruction);
        return !instruction.IsInvalid;
    }

    /// <summary>Fetches code bytes at an offset in CS.</summary>
    /// <returns>How many could be fetched: fewer at the end of the segment or before a page that isn't there.</returns>
    public int Fetch(uint eip, Span<byte> bytes)
    {
        ref Segment code = ref _vcpu.State->Segments[SegmentIndex.Cs];
        if (eip > code.High)
        {
            return 0;
        }

        int count = (int)Math.Min((ulong)bytes.Length, (ulong)code.High - eip + 1);
        uint linear = code.Base + eip;
        if (GuestAccess.TryRead(_vcpu, linear, bytes[..count]))
        {
            return count;
        }

        int toPageEnd = Math.Min(count, (int)(4096 - (linear & 4095)));
        return GuestAccess.TryRead(_vcpu, linear, bytes[..toPageEnd]) ? toPageEnd : 0;
    }

    /// <inheritdoc/>
    public override int ReadByte() => _position < _length ? _bytes[_position++] : -1;
}
