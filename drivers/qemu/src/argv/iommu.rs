//! The guest's own IOMMU. It comes before the controllers: what is plugged in earlier is not behind it.

use hostler_sdk::domain::iommu::IommuModel;
use hostler_sdk::{Error, Value};

use super::builder::{Builder, set_some};

/// The IOMMU, if there is one.
pub(super) fn iommu(builder: &mut Builder<'_>) -> Result<(), Error> {
    let Some(iommu) = &builder.domain.devices.iommu else { return Ok(()) };
    let on_off = |on: bool| if on { "on" } else { "off" };
    let value = match iommu.model {
        IommuModel::Intel => {
            let mut value = Value::mapping().with("driver", "intel-iommu");
            set_some(&mut value, "intremap", iommu.intremap.map(on_off));
            set_some(&mut value, "caching-mode", iommu.caching_mode);
            set_some(&mut value, "eim", iommu.eim.map(on_off));
            set_some(&mut value, "device-iotlb", iommu.iotlb);
            set_some(&mut value, "aw-bits", iommu.aw_bits.map(u32::from));
            value
        }
        IommuModel::Virtio => {
            let mut value = Value::mapping().with("driver", "virtio-iommu");
            builder.place(&mut value, iommu.node, &iommu.info)?;
            value
        }
        IommuModel::Smmuv3 => {
            return Err(builder.unsupported(iommu.node, "of model 'smmuv3' is for ARM machines"));
        }
    };
    builder.device(iommu.node, value);
    Ok(())
}
