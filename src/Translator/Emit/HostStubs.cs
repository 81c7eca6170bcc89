using Dbt.Translator.Memory;
using Iced.Intel;

namespace Dbt.Translator.Emit;

/// <summary>Host code that translated code calls, one copy of each for the process. Thread-safe.</summary>
internal static unsafe class HostStubs
{
    private const int Capacity = 32 << 20;

    private static readonly Lock Gate = new();
    private static readonly Dictionary<string, nint> Known = [];
    private static readonly Dictionary<nint, byte[]> Codes = [];
    private static byte* _memory;
    private static int _used;

    /// <summary>Where the code is; 0 where there is no more room.</summary>
    /// <param name="assembler">Code that runs anywhere.</param>
    public static nint Place(Assembler assembler)
    {
        using var stream = new MemoryStream();
        assembler.Assemble(new StreamCodeWriter(stream), 0);
        return Place(stream.ToArray());
    }

    /// <summary>Where the code is; 0 where there is no more room.</summary>
    /// <param name="code">Code that runs anywhere.</param>
    public static nint Place(byte[] code)
    {
        string key = Convert.ToHexString(code);
        lock (Gate)
        {
            if (Known.TryGetValue(key, out nint known))
            {
                return known;
            }

            if (_memory == null)
            {
                _memory = HostMemory.Reserve(Capacity, executable: true);
            }

            if (_used + code.Length > Capacity)
            {
                return 0;
            }

            nint address = (nint)(_memory + _used);
            code.CopyTo(new Span<byte>((void*)address, code.Length));
            _used += (code.Length + 15) & ~15;
            Known.Add(key, address);
            Codes.Add(address, code);
            return address;
        }
    }

    /// <summary>The code at an address that <see cref="Place(byte[])"/> returned.</summary>
    public static byte[] CodeOf(nint address)
    {
        lock (Gate)
        {
            return Codes[address];
        }
    }
}
