using Dbt.Tests.Packages;
using Dbt.Xen.Builder;

namespace Dbt.Tests.Xen.Builder;

/// <summary>Kernels that nobody here wrote.</summary>
public class RealKernelTests
{
    [RequiresPackageFact(DebianFiles.Grub)]
    public void GrubIsUnderstood()
    {
        var kernel = KernelImage.Load(File.ReadAllBytes(DebianFiles.PathOf(DebianFiles.Grub)));
        Assert.Equal((0u, 0u, 0u), (kernel.VirtBase, kernel.Start, kernel.Entry));
        Assert.Equal("GRUB", kernel.Parameters.GuestOs);
        Assert.Null(kernel.Parameters.HypercallPage);
        Assert.Equal(PaeMode.ExtendedCr3, kernel.Parameters.Pae);
        Assert.Equal(2, kernel.Loads.Count);
    }

    [RequiresPackageFact(DebianFiles.Mach)]
    public void GnuMachIsUnderstood()
    {
        var kernel = KernelImage.Load(File.ReadAllBytes(DebianFiles.PathOf(DebianFiles.Mach)));
        Assert.Equal((0xC0000000u, 0xC0000000u, 0xC0000000u), (kernel.VirtBase, kernel.Start, kernel.Entry));
        Assert.Equal(0xC0002000u, kernel.Parameters.HypercallPage);
        Assert.Equal(("GNU Mach", "generic"), (kernel.Parameters.GuestOs, kernel.Parameters.Loader));
        Assert.Equal(PaeMode.ExtendedCr3, kernel.Parameters.Pae);
    }
}
