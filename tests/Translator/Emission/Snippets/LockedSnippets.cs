using Iced.Intel;
using static Iced.Intel.AssemblerRegisters;

namespace Dbt.Tests.Translator.Emission.Snippets;

/// <summary>Locked operations.</summary>
internal static class LockedSnippets
{
    public static IReadOnlyList<Snippet> All { get; } =
    [
        new("lock inc m32", a => a.@lock.inc(__dword_ptr[esi])),
        new("lock add m32,r32", a => a.@lock.add(__dword_ptr[esi], eax)),
        new("lock sub m8,imm", a => a.@lock.sub(__byte_ptr[esi], 3)),
        new("lock or m32,imm", a => a.@lock.or(__dword_ptr[esi], 0x10)),
        new("lock xadd m32,r32", a => a.@lock.xadd(__dword_ptr[esi], eax)),
        new("lock cmpxchg m32,r32, jne", a =>
        {
            Label end = a.CreateLabel();
            a.@lock.cmpxchg(__dword_ptr[esi], ecx);
            a.jne(end);
            a.inc(edx);
            a.Label(ref end);
        }),
        new("lock cmpxchg8b m64", a => a.@lock.cmpxchg8b(__qword_ptr[esi])),
        new("lock bts m32,imm", a => a.@lock.bts(__dword_ptr[esi], 3)),
        new("lock btr m32,r32", a => a.@lock.btr(__dword_ptr[esi], ecx)),
        new("xchg m32,r32", a => a.xchg(__dword_ptr[esi], eax)),
        new("cmpxchg m32,r32 unlocked", a => a.cmpxchg(__dword_ptr[esi], ecx)),
        new("mfence", a => a.mfence()),
    ];
}
